using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Objects.Files;

/// <summary>A descriptor of a process as /proc shows it: nothing is touched to learn it.</summary>
/// <param name="Pid">The process.</param>
/// <param name="Fd">The number.</param>
/// <param name="Link">The text of /proc/PID/fd/N.</param>
/// <param name="Status">stat(2) of the open file.</param>
/// <param name="Position">The file position, bytes.</param>
/// <param name="Flags">Open flags, O_CLOEXEC being the descriptor's own.</param>
internal sealed record OpenFile(int Pid, int Fd, OsText Link, FileStatus.stat Status, long Position, int Flags)
{
    public uint Kind => Status.st_mode & FileStatus.S_IFMT;

    public bool IsDeleted => Status.st_nlink == 0;

    /// <summary>The flags of the open file, without the descriptor's.</summary>
    public int FileFlags => Flags & ~Fcntl.O_CLOEXEC;

    public bool CloseOnExec => (Flags & Fcntl.O_CLOEXEC) != 0;

    /// <summary>The link in /proc that leads to the very file, whatever has become of its name.</summary>
    public string MagicLink
    {
        get => field ?? $"/proc/{Pid}/fd/{Fd}";
        init;
    }

    /// <summary>What fdinfo tells of it; null for files that are no descriptors.</summary>
    public FdInfo? Info { get; init; }

    /// <summary>Where the open file lies in the kernel's memory; 0 where that was not asked.</summary>
    public ulong Address { get; init; }

    /// <summary>Bytes that it has room for, where it is known to be an empty pipe; null for all others.</summary>
    public long? EmptyPipeSize { get; init; }

    /// <summary>How it stands with its name; null where nobody has looked yet.</summary>
    public NameState? Name { get; set; }

    /// <summary>Who is told when it becomes ready; null where that was not asked.</summary>
    public FileOwner.Owner? Owner { get; init; }

    /// <summary>The name that stands for it outside of images: mount and inode.</summary>
    public string ExternalName => $"file[{Info?.MountId ?? 0:x}:{Status.st_ino:x}]";

    /// <summary>Whether fdinfo names a lock on it.</summary>
    public bool HasLock => Info?.Locks.Count > 0;

    /// <summary>Whether it is the socket over which its process asked for the dump.</summary>
    public bool IsServiceSocket { get; init; }

    /// <summary>The family of a socket (AF_*); 0 for other files.</summary>
    public int SocketFamily { get; init; }

    /// <summary>The socket in whose queue it is on its way (SCM_RIGHTS); null for descriptors of processes. We hold such files ourselves.</summary>
    public OpenFile? Carrier { get; init; }

    /// <summary>The process that has it, or the socket through which it will come, through however many others.</summary>
    public int Holder => Carrier?.Holder ?? Pid;

    public override string ToString() => Carrier is null
        ? $"fd {Fd} -> {Link.ToDisplayString()}"
        : $"{Link.ToDisplayString()} in the queue of {Carrier}";
}
