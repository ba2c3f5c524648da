using System.Buffers.Binary;
using CriuPS.Engine.Compel;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// A set of watched files (epoll(7), struct eventpoll). The kernel keeps for each the open file, the number under which it was added, events and data; fdinfo
/// tells all but the file, and kcmp(2) with KCMP_EPOLL_TFD (since Linux 4.13) whether it is still the one of that number. A restored process adds them
/// again itself by epoll_ctl(2), when all its descriptors are in place: epoll sets may watch each other.
/// </summary>
internal sealed class EventPollFile : IFileKind, ISelfMade
{
    public FdTypes Type => FdTypes.Eventpoll;

    public bool Recognizes(OpenFile file) => file.Link.Bytes.SequenceEqual("anon_inode:[eventpoll]"u8);

    public (string Reason, string Remedy)? Objection(OpenFile file, TreeFiles tree)
    {
        OpenFile first = FirstOf(file, tree);
        foreach ((EpollTarget target, int offset) in Numbered(file.Info!.EpollTargets))
        {
            if (Find(first, target, offset, tree) is null)
            {
                string where = first.Carrier is null && first.Pid == file.Pid ? "this process" : $"process {first.Holder}, which has the set too,";
                return ($"it watches a file that was fd {target.Fd} and is open in {where} no more", "let the program take it out of the set");
            }
        }

        return null;
    }

    public FileEntry Save(OpenFile file, HeldFile held, uint id, FileImages images)
    {
        EventpollFileEntry saved = new() { Id = id, Flags = (uint)file.FileFlags, Fown = FileOwner.Save(file, images.Tree) };

        // fdinfo has them in the order of the kernel's tree, by address; the order among equal numbers is that of kcmp's offsets.
        foreach ((EpollTarget target, int offset) in Numbered(file.Info!.EpollTargets))
        {
            OpenFile found = Find(file, target, offset, images.Tree)
                ?? throw new CriuException("EpollTargetGone", CriuErrorKind.NotSupported, $"{file}: the file that it watches as fd {target.Fd} is gone")
                {
                    Pid = file.Pid,
                };
            if (images.Tree.IsReplaced(found))
            {
                // Nothing that could be watched comes back there.
                continue;
            }

            saved.Tfd.Add(new EventpollTfdEntry
            {
                Id = id, Tfd = (uint)found.Fd, Events = target.Events, Data = target.Data, Dev = target.SuperBlockDevice, Inode = target.Inode ?? 0,
                Pos = (ulong)target.Position,
            });
        }

        return new FileEntry { Type = Type, Id = id, Epfd = saved };
    }

    public void Validate(FileEntry entry, FileOpening opening)
    {
    }

    public SafeFileHandle Open(FileEntry entry, FileOpening opening)
    {
        SafeFileHandle epoll = EventFiles.Epoll();
        Fcntl.Control(epoll, Fcntl.F_SETFL, (int)entry.Epfd.Flags & Fcntl.O_NONBLOCK);
        return epoll;
    }

    public bool CanBeSelfMade(FileEntry entry, FileOpening opening) => true;

    public bool NeedsSettling => true;

    public void AddMaking(FileEntry entry, int number, bool closeOnExec, SyscallBatch batch)
    {
        batch.Add("epoll_create1", SyscallNumber.epoll_create1, closeOnExec ? Fcntl.O_CLOEXEC : 0);
        if (((int)entry.Epfd.Flags & Fcntl.O_NONBLOCK) != 0)
        {
            batch.Add(new CallOfDescriptor("fcntl(F_SETFL) of", number), SyscallNumber.fcntl, number, Fcntl.F_SETFL, Fcntl.O_NONBLOCK);
        }
    }

    public void Settle(FileEntry entry, int fd, RemoteBatch batch, FileOpening opening)
    {
        Add(entry, fd, batch);
    }

    /// <summary>Adds again what a set watches.</summary>
    /// <param name="entry">The set.</param>
    /// <param name="epoll">Its number in a process that has the files.</param>
    /// <param name="batch">That process.</param>
    public static void Add(FileEntry entry, Argument epoll, RemoteBatch batch)
    {
        Span<byte> structure = stackalloc byte[EventFiles.EpollEventSize];
        foreach (EventpollTfdEntry target in entry.Epfd.Tfd)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(structure, target.Events);
            BinaryPrimitives.WriteUInt64LittleEndian(structure[sizeof(uint)..], target.Data);
            SyscallProgram program = batch.Room(1, EventFiles.EpollEventSize);
            ulong address = program.Put(structure);
            program.Add(
                new CallOfDescriptor("epoll_ctl for", (int)target.Tfd), SyscallNumber.epoll_ctl, epoll, EventFiles.EPOLL_CTL_ADD, (long)target.Tfd, address);
        }
    }

    // Several files may have been added under one number, each closed before the next came: kcmp counts them.
    private static IEnumerable<(EpollTarget Target, int Offset)> Numbered(IEnumerable<EpollTarget> targets) =>
        targets.GroupBy(t => t.Fd).SelectMany(same => same.Select((target, offset) => (target, offset)));

    // Files are added by the first process that has the set: what others have inherited of it need not be open there. All sets have one inode.
    private static OpenFile FirstOf(OpenFile epoll, TreeFiles tree) =>
        tree.OfSameFile(epoll).TakeWhile(f => f.Holder != epoll.Holder).FirstOrDefault(f => IsSame(f, epoll)) ?? epoll;

    private static bool IsSame(OpenFile one, OpenFile other)
    {
        if (one.Address != 0 && other.Address != 0)
        {
            return one.Address == other.Address;
        }

        try
        {
            return one.Link == other.Link && Kcmp.SameFile(one.Pid, one.Fd, other.Pid, other.Fd);
        }
        catch (KernelException e) when (e.Errno is Errno.ESRCH or Errno.EBADF)
        {
            // A process that runs may end, or close it, meanwhile; one that stands still does not.
            return false;
        }
    }

    // The number's own file in most cases, else another descriptor of the process that leads to the same open file.
    private static OpenFile? Find(OpenFile epoll, EpollTarget target, int offset, TreeFiles tree)
    {
        return tree.At(epoll.Holder, target.Fd) is { } own && IsIt(own) ? own : tree.OfProcess(epoll.Holder).FirstOrDefault(f => f.Fd != target.Fd && IsIt(f));

        bool IsIt(OpenFile file) => (target.Inode is null || file.Status.st_ino == target.Inode) && IsTarget(file, epoll, target, offset);
    }

    private static bool IsTarget(OpenFile file, OpenFile epoll, EpollTarget target, int offset)
    {
        try
        {
            return Kcmp.IsEpollTarget(file.Pid, file.Fd, epoll.Pid, epoll.Fd, target.Fd, offset);
        }
        catch (KernelException e) when (e.Errno is Errno.ENOENT or Errno.EBADF)
        {
            // A process that runs changes its set meanwhile; one that stands still does not.
            return false;
        }
    }
}
