using System.Runtime.InteropServices;
using CriuPS.Engine.Compel;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Images;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// Locks and leases on files (fcntl(2), flock(2)). The kernel keeps them with the inode; those of F_SETLK belong to a process's descriptor table, all others
/// to an open file. fdinfo tells those of each descriptor (since Linux 4.1). The process itself takes them again, by the same calls.
/// </summary>
internal static class FileLocks
{
    // The kinds of images: numbers of CRIU's own.
    private const uint Posix = 1, Flock = 2, OpenFileDescription = 4, Lease = 8;

    /// <summary>In the type of a lease: it is being broken, and the rest is what it turns into.</summary>
    private const uint Breaking = 4;

    private const int F_SETLK = 6, F_SETOWN = 8, F_OFD_SETLK = 37, F_SETLEASE = 1024;
    private const int LOCK_SH = 1, LOCK_EX = 2, LOCK_NB = 4;

    /// <summary>struct flock.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct flock
    {
        public short l_type;
        public short l_whence;
        public long l_start;
        public long l_len;
        public int l_pid;
    }

    /// <summary>Why the locks of a descriptor cannot be dumped; null where they can, or where there are none.</summary>
    public static (string Reason, string Remedy)? Objection(OpenFile file, bool wanted)
    {
        if (!file.HasLock)
        {
            return null;
        }

        return !wanted ? ("it holds a file lock", "use -FileLocks, unless processes outside of the tree depend on the lock; or let the program release it")
            : file.Info!.Locks.Any(l => l.Kind == FileLockKind.Delegation || l.Lease == LeaseState.Breaker)
                ? ("its lease is that of a file server", "try again later")
            : null;
    }

    /// <summary>Saves the locks of a descriptor table.</summary>
    /// <param name="table">The table.</param>
    /// <param name="isFirst">Whether a descriptor is the first of its open file among all processes.</param>
    /// <param name="writer">Takes them.</param>
    public static void Save(IReadOnlyList<OpenFile> table, Func<OpenFile, bool> isFirst, ImageWriter writer)
    {
        // A lock of the process shows with every descriptor of the file, one of an open file with each that leads to it.
        HashSet<(ulong Device, ulong Inode, long Start, long Last)> seen = [];
        foreach (OpenFile file in table)
        {
            foreach (FileLock held in file.Info!.Locks)
            {
                bool isNew = held.Kind == FileLockKind.Posix
                    ? seen.Add((file.Status.st_dev, file.Status.st_ino, held.Start, held.Last))
                    : isFirst(file);
                if (isNew)
                {
                    writer.Write(Entry(file, held));
                }
            }
        }
    }

    /// <summary>Adds the calls that take a lock again.</summary>
    /// <param name="batch">The process that had it.</param>
    /// <param name="saved">The lock.</param>
    public static void Restore(RemoteBatch batch, FileLockEntry saved)
    {
        string subject = $"lock of fd {saved.Fd}, which somebody else may hold";
        switch (saved.Flag)
        {
            case Posix or OpenFileDescription:
                SyscallProgram program = batch.Room(1, 32);
                ulong range = program.Put(new flock { l_type = (short)saved.Type, l_start = saved.Start, l_len = Math.Max(saved.Len, 0) });
                program.Add(subject, SyscallNumber.fcntl, saved.Fd, saved.Flag == Posix ? F_SETLK : F_OFD_SETLK, range);
                break;
            case Flock:
                int operation = saved.Type == (uint)FileLockType.Read ? LOCK_SH : LOCK_EX;
                batch.Add(subject, SyscallNumber.flock, saved.Fd, operation | LOCK_NB);
                break;
            case Lease when (saved.Type & Breaking) != 0:
                RestoreBreaking(batch, saved);
                break;
            case Lease:
                batch.Add($"lease of fd {saved.Fd}", SyscallNumber.fcntl, saved.Fd, F_SETLEASE, (long)saved.Type);
                break;
            default:
                throw new CriuException("FileLockNotSupported", CriuErrorKind.NotSupported, $"the lock of fd {saved.Fd} is of kind {saved.Flag}")
                {
                    Pid = saved.Pid,
                };
        }
    }

    // Somebody wanted the file, and the holder has been told: it is taken as it was, and then we want the file. What it turns into is told, and not what it
    // was; from that and the way the file is open follows what it can have been. The holder is told nothing this time: its owner is set later.
    private static void RestoreBreaking(RemoteBatch batch, FileLockEntry saved)
    {
        string path = $"/proc/{batch.Task.Pid}/fd/{saved.Fd}";
        batch.Run();
        using ProcDirectory proc = new(batch.Task.Pid);
        int mode = (int)FdInfo.Read(proc, saved.Fd).Flags & Fcntl.O_ACCMODE;
        bool becomesRead = (saved.Type & ~Breaking) == (uint)FileLockType.Read;
        FileLockType before = becomesRead || mode != Fcntl.O_RDONLY ? FileLockType.Write : FileLockType.Read;
        batch.Add($"lease of fd {saved.Fd}", SyscallNumber.fcntl, saved.Fd, F_SETLEASE, (long)before);
        batch.Add($"fcntl(F_SETOWN) of fd {saved.Fd}", SyscallNumber.fcntl, saved.Fd, F_SETOWN, 0);
        batch.Run();
        int want = (becomesRead ? Fcntl.O_RDONLY : Fcntl.O_WRONLY) | Fcntl.O_NONBLOCK;
        using SafeFileHandle? opened = OpenAt.TryOpen(null, CString.From(path), want, out int errno);
        if (errno != Errno.EAGAIN)
        {
            throw new KernelException($"breaking of the lease of fd {saved.Fd}", errno) { Pid = saved.Pid };
        }
    }

    private static FileLockEntry Entry(OpenFile file, FileLock held) => new()
    {
        Flag = held.Kind switch
        {
            FileLockKind.Posix => Posix, FileLockKind.Flock => Flock, FileLockKind.OpenFileDescription => OpenFileDescription, _ => Lease,
        },
        Type = (uint)held.Type | (held.Lease == LeaseState.Breaking ? Breaking : 0), Pid = file.Pid, Fd = file.Fd, Start = held.Start,

        // A length of 0 reaches to the end of the file, wherever it moves.
        Len = held.Last == long.MaxValue ? 0 : held.Last - held.Start + 1,
    };
}
