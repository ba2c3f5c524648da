using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Proc;

/// <summary>A mapping of a process, for people: see <see cref="Vma"/>.</summary>
/// <param name="Start">First address.</param>
/// <param name="End">Address after the last.</param>
/// <param name="Size">Number of bytes.</param>
/// <param name="Permissions">In the form <c>rw-p</c>; the last letter is s for a shared mapping, p for a private one.</param>
/// <param name="Offset">Offset in the file, bytes.</param>
/// <param name="Device">The file's device in the form MAJOR:MINOR, decimal.</param>
/// <param name="Inode">The file's inode number, 0 without a file.</param>
/// <param name="Path">The file, a name in brackets, or nothing.</param>
public sealed record ProcessMapping(
    ulong Start, ulong End, ulong Size, string Permissions, ulong Offset, string Device, ulong Inode, string Path)
{
    /// <summary>Start and end as /proc/PID/maps writes them.</summary>
    public string Range => $"{Start:x}-{End:x}";

    /// <summary>The path on one line, control characters escaped: for tables.</summary>
    public string DisplayPath => new OsText(Path).ToDisplayString();

    internal static ProcessMapping From(Vma vma) => new(
        vma.Start, vma.End, vma.Length, Letters(vma), vma.Offset, $"{vma.DeviceMajor}:{vma.DeviceMinor}", vma.Inode, vma.Path.ToString());

    private static string Letters(Vma vma) => string.Create(4, vma, static (letters, vma) =>
    {
        letters[0] = (vma.Protection & VmaProtection.Read) != 0 ? 'r' : '-';
        letters[1] = (vma.Protection & VmaProtection.Write) != 0 ? 'w' : '-';
        letters[2] = (vma.Protection & VmaProtection.Execute) != 0 ? 'x' : '-';
        letters[3] = vma.Shared ? 's' : 'p';
    });
}

/// <summary>
/// How a file is open, and flags of its descriptor; the values are O_* of x86-64. O_LARGEFILE is left out: it tells nothing, all files that
/// a 64-bit program opens have it.
/// </summary>
[Flags]
public enum OpenFlags
{
    /// <summary>O_RDONLY: for reading only.</summary>
    ReadOnly = 0,

    /// <summary>O_WRONLY.</summary>
    WriteOnly = 1,

    /// <summary>O_RDWR.</summary>
    ReadWrite = 2,

    /// <summary>O_APPEND.</summary>
    Append = 0x400,

    /// <summary>O_NONBLOCK.</summary>
    NonBlocking = 0x800,

    /// <summary>O_DSYNC.</summary>
    DataSync = 0x1000,

    /// <summary>O_ASYNC: signals when it becomes ready.</summary>
    Async = 0x2000,

    /// <summary>O_DIRECT.</summary>
    Direct = 0x4000,

    /// <summary>O_DIRECTORY.</summary>
    Directory = 0x10000,

    /// <summary>O_NOFOLLOW.</summary>
    NoFollow = 0x20000,

    /// <summary>O_NOATIME.</summary>
    NoAccessTime = 0x40000,

    /// <summary>O_CLOEXEC: of the descriptor, not of the file.</summary>
    CloseOnExec = 0x80000,

    /// <summary>The bit of O_SYNC that O_DSYNC lacks.</summary>
    FileSync = 0x100000,

    /// <summary>O_PATH: the file is not open, it is only pointed at.</summary>
    PathOnly = 0x200000,

    /// <summary>The bit of O_TMPFILE that O_DIRECTORY lacks.</summary>
    Temporary = 0x400000,
}

/// <summary>An open descriptor of a process, for people: see <see cref="FdInfo"/>.</summary>
/// <param name="Number">The descriptor's number.</param>
/// <param name="Kind"><c>file</c>, or what is no file by path: <c>pipe</c>, <c>socket</c>, <c>eventfd</c>, <c>eventpoll</c>, …</param>
/// <param name="Target">The path, or the kernel's name for it.</param>
/// <param name="Position">The position in the file.</param>
/// <param name="Flags">How it is open.</param>
/// <param name="MountId">The mount that it was opened on.</param>
/// <param name="Inode">The inode number; null before Linux 5.14.</param>
public sealed record ProcessDescriptor(int Number, string Kind, string Target, long Position, OpenFlags Flags, int MountId, ulong? Inode)
{
    /// <summary>The target on one line, control characters escaped: for tables.</summary>
    public string DisplayTarget => new OsText(Target).ToDisplayString();

    /// <summary>Reads the open descriptors by ascending number; those that are closed meanwhile are left out.</summary>
    /// <exception cref="CriuException"><c>ProcessGone</c>.</exception>
    /// <exception cref="KernelException">They may not be read.</exception>
    internal static List<ProcessDescriptor> ReadAll(ProcDirectory directory)
    {
        var descriptors = new List<ProcessDescriptor>();
        foreach (int number in ProcDescriptors.List(directory))
        {
            if (TryRead(directory, number) is { } descriptor)
            {
                descriptors.Add(descriptor);
            }
        }

        return descriptors;
    }

    private const uint O_LARGEFILE = 0x8000;

    /// <summary>The kind that a link's text tells of.</summary>
    internal static string KindOf(string target)
    {
        const string Anonymous = "anon_inode:";
        if (target.StartsWith(Anonymous, StringComparison.Ordinal))
        {
            return target[Anonymous.Length..].Trim('[', ']');
        }

        int colon = target.StartsWith('/') ? -1 : target.IndexOf(':', StringComparison.Ordinal);
        return colon < 0 ? "file" : target[..colon];
    }

    private static ProcessDescriptor? TryRead(ProcDirectory directory, int number)
    {
        if (directory.TryReadLinkText($"fd/{number}", out int errno) is not { } link)
        {
            return errno == Errno.ENOENT ? null : throw directory.Failure("readlinkat", $"fd/{number}", errno);
        }

        try
        {
            FdInfo info = FdInfo.Read(directory, number);
            string target = link.ToString();
            return new ProcessDescriptor(
                number, KindOf(target), target, info.Position, (OpenFlags)(info.Flags & ~O_LARGEFILE), info.MountId, info.Inode);
        }
        catch (CriuException closed) when (closed.Id == "ProcFileMissing")
        {
            return null;
        }
    }
}
