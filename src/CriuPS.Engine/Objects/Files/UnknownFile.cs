using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Objects.Files;

/// <summary>Names kinds of files that are not supported, so that a refusal says what it is.</summary>
internal static class UnknownFile
{
    public static (string Reason, string Remedy) Describe(OpenFile file)
    {
        string link = file.Link.ToDisplayString();
        return file.Kind switch
        {
            FileStatus.S_IFSOCK => ($"it is a socket of kind {SocketName.TryRead(file.MagicLink) ?? "unknown"} (family {file.SocketFamily}); only Unix sockets are supported yet", "close it before the dump"),
            FileStatus.S_IFCHR or FileStatus.S_IFBLK => ("this device is not supported", "close it before the dump"),
            _ when link is "anon_inode:bpf-prog" or "anon_inode:bpf_link" or "anon_inode:btf" =>
                ("BPF programs, links and types are not supported", "close it before the dump"),
            // perf_event_open(2): a count can be read and set to zero, but to nothing else.
            _ when link is "anon_inode:[perf_event]" => ("it is a perf event, and a new one cannot be given its count", "close it before the dump"),
            _ when link.StartsWith("anon_inode:", StringComparison.Ordinal) =>
                ($"this kind of descriptor ({link["anon_inode:".Length..]}) is not supported yet", "close it before the dump"),
            _ => ("this kind of file is not supported yet", "close it before the dump"),
        };
    }
}
