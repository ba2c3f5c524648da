using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects.Files;

namespace CriuPS.Engine.Objects.Sockets;

/// <summary>An open file on its way in the queue of a socket (SCM_RIGHTS, unix(7)).</summary>
internal static class QueuedFile
{
    /// <summary>Whether a process of the tree has the same open file among its descriptors, and all that is to be said of it is said there.</summary>
    public static bool IsOpenElsewhere(OpenFile file, TreeFiles tree) => tree.OfSameFile(file).Any(other => other.Carrier is null && IsSame(file, other));

    /// <summary>Why it cannot be kept where it is; null where it can.</summary>
    public static (string Reason, string Remedy)? Objection(OpenFile file, IFileKind kind)
    {
        const string Remedy = "let the program receive it";
        if (file.HasLock)
        {
            return ("it has a lock, and no process has it", Remedy);
        }

        bool known = kind is RegularFile or PipeFile or NamedPipe or MemoryFile or EventFile or SignalFile or TimerFile or EventPollFile or ProcessFile or TerminalFile or BpfMapFile
            or UnixSocketFile;
        return known && !ProcfsFile.IsOfOneObject(file.Link.Bytes) ? null : ("files of its kind must be open in a process too", Remedy);
    }

    private static bool IsSame(OpenFile file, OpenFile other) => Kcmp.SameFile(file.Pid, file.Fd, other.Pid, other.Fd);
}
