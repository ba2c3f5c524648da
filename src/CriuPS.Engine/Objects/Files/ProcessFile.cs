using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// A reference to a process (pidfd_open(2), struct pid). fdinfo tells the number of the process, or -1 once it is gone; since Linux 6.9 those of one process have
/// one inode. pidfd_open(2) makes it again; one of a process that is gone comes from a newborn of ours that ends.
/// </summary>
internal sealed class ProcessFile : IFileKind
{
    private const int Gone = -1;

    /// <summary>O_EXCL: the reference is to a thread (PIDFD_THREAD, since Linux 6.9).</summary>
    private const int ToThread = Fcntl.O_EXCL;

    public FdTypes Type => FdTypes.Pidfd;

    public bool Recognizes(OpenFile file) => file.Link.Bytes.SequenceEqual("anon_inode:[pidfd]"u8);

    public (string Reason, string Remedy)? Objection(OpenFile file, TreeFiles tree)
    {
        int pid = file.Info!.PidFd!.Pid;
        bool isOurs = pid == Gone || tree.Pids.Contains((file.FileFlags & ToThread) != 0 ? ProcessOf(pid) : pid);
        return isOurs ? null
            : ($"it refers to process {pid}, which is not dumped with it", "close it before the dump, or dump both together");
    }

    public FileEntry Save(OpenFile file, HeldFile held, uint id, FileImages images) => new()
    {
        Type = Type, Id = id,
        Pidfd = new PidfdEntry
        {
            Id = id, Ino = (uint)file.Status.st_ino, Flags = (uint)file.FileFlags, Nspid = file.Info!.PidFd!.Pid, Fown = FileOwner.Save(file, images.Tree),
        },
    };

    public void Validate(FileEntry entry, FileOpening opening)
    {
    }

    // All processes and threads are there before any file is opened.
    public SafeFileHandle Open(FileEntry entry, FileOpening opening) => PidFd.Open(
        entry.Pidfd.Nspid == Gone ? opening.DeadProcess(entry.Pidfd.Ino) : entry.Pidfd.Nspid, (int)entry.Pidfd.Flags & (Fcntl.O_NONBLOCK | ToThread));

    private static int ProcessOf(int thread)
    {
        using Proc.ProcDirectory proc = new(thread);
        return Proc.ProcStatus.Read(proc).ThreadGroup;
    }
}
