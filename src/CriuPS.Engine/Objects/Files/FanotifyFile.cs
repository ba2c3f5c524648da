using CriuPS.Engine.Compel;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;
using Google.Protobuf;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// Marks on files, mounts and file systems (fanotify(7), struct fsnotify_group). fdinfo tells how the group was made and each mark with its inode or mount;
/// fanotify_init(2) and fanotify_mark(2) make them again. Images have no place for marks on file systems (since Linux 4.20): those are in an image of ours. An
/// event holds its file open and the number of who caused it, so none can be put back.
/// </summary>
internal sealed class FanotifyFile : IFileKind
{
    private const uint Permissions =
        Notification.FAN_OPEN_PERM | Notification.FAN_ACCESS_PERM | Notification.FAN_OPEN_EXEC_PERM | Notification.FAN_PRE_ACCESS;

    public FdTypes Type => FdTypes.Fanotify;

    public bool Recognizes(OpenFile file) => file.Link.Bytes.SequenceEqual("anon_inode:[fanotify]"u8);

    public (string Reason, string Remedy)? Objection(OpenFile file, TreeFiles tree)
    {
        foreach (FanotifyMark mark in file.Info!.FanotifyMarks)
        {
            if ((mark.Mask & Permissions) != 0)
            {
                return ("it is asked for permission, and whoever opens such a file would wait for it, we too", "let the program take such marks away");
            }

            (string Reason, string Remedy)? objection = mark.Kind switch
            {
                FanotifyMarkKind.Inode => WatchedInode.Objection(file, "mark", mark.SuperBlockDevice, mark.ObjectId, mark.Handle, tree),
                FanotifyMarkKind.MountNamespace => ("it has a mark on a mount namespace, which is not supported", "let the program take it away"),
                _ => MountOf(file.Pid, mark) is null ? ("it has a mark on a mount that cannot be seen", "let the program take it away") : null,
            };
            if (objection is not null)
            {
                return objection;
            }
        }

        return null;
    }

    public FileEntry Save(OpenFile file, HeldFile held, uint id, FileImages images)
    {
        IReadOnlyList<FanotifyMark> marks = file.Info!.FanotifyMarks;
        if (marks.All(m => m.Kind == FanotifyMarkKind.Inode) && EventFiles.Readable(held.Handle) is > 0 and int bytes)
        {
            throw new RefusedException([new Refusal(
                file.Pid, "", file.ToString(), $"{bytes} bytes of events wait in it, which cannot be put back", "try again when the program has read them")]);
        }

        FanotifyFileEntry saved = new()
        {
            Id = id, Flags = (uint)file.FileFlags, Fown = FileOwner.Save(file, images.Tree), Faflags = file.Info.Fanotify!.Value.Flags,
            Evflags = file.Info.Fanotify.Value.EventFlags,
        };
        saved.Mark.AddRange(marks.Where(m => m.Kind != FanotifyMarkKind.FileSystem).Select(m => ToEntry(file, id, m)));
        CriupsNotifyEntry extra = new() { Id = id };
        extra.Marks.AddRange(marks.Where(m => m.Kind == FanotifyMarkKind.FileSystem).Select(m => new CriupsFanotifyMarkEntry
        {
            Path = ByteString.CopyFrom(MountOf(file.Pid, m)!.MountPoint.Bytes), Flags = m.MarkFlags, Mask = m.Mask, IgnoredMask = m.IgnoredMask,
        }));
        if (extra.Marks.Count > 0)
        {
            images.Events.Write(extra);
        }

        return new FileEntry { Type = Type, Id = id, Ffy = saved };
    }

    public void Validate(FileEntry entry, FileOpening opening)
    {
        foreach (FanotifyMarkEntry mark in entry.Ffy.Mark)
        {
            if ((mark.Mask & Permissions) != 0)
            {
                throw new CriuException("FileKindNotSupported", CriuErrorKind.NotSupported, "it is asked for permission to open files, which is not supported");
            }

            if (mark.Type == MarkType.Inode)
            {
                WatchedInode.Validate(mark.Ie.FHandle, mark.SDev, mark.Ie.IIno, opening);
            }
            else
            {
                OpenMount(opening.Choices.Paths.Apply(mark.Me.Path)).Dispose();
            }
        }
    }

    public SafeFileHandle Open(FileEntry entry, FileOpening opening)
    {
        uint nonBlocking = (entry.Ffy.Flags & Fcntl.O_NONBLOCK) != 0 ? Notification.FAN_NONBLOCK : 0;
        return Notification.Fanotify(entry.Ffy.Faflags | nonBlocking, entry.Ffy.Evflags);
    }

    public void Settle(FileEntry entry, int fd, RemoteBatch batch, FileOpening opening)
    {
        using SafeFileHandle process = PidFd.Open(batch.Task.Pid);
        using SafeFileHandle group = PidFd.GetFd(process, fd);
        foreach (FanotifyMarkEntry mark in entry.Ffy.Mark)
        {
            bool onInode = mark.Type == MarkType.Inode;
            using SafeFileHandle target = onInode ? WatchedInode.Open(mark.Ie.FHandle, mark.SDev, mark.Ie.IIno, opening) : OpenMount(opening.Choices.Paths.Apply(mark.Me.Path));
            Add(group, target, onInode ? 0 : Notification.FAN_MARK_MOUNT, mark.Mflags, mark.Mask, mark.IgnoredMask);
        }

        foreach (CriupsFanotifyMarkEntry mark in opening.Notify(entry.Id)?.Marks ?? [])
        {
            using SafeFileHandle target = OpenMount(opening.Choices.Paths.Apply(mark.Path));
            Add(group, target, Notification.FAN_MARK_FILESYSTEM, mark.Flags, mark.Mask, mark.IgnoredMask);
        }
    }

    private static void Add(SafeFileHandle group, SafeFileHandle target, uint kind, uint flags, uint mask, uint ignoredMask)
    {
        const uint OfIgnored = Notification.FAN_MARK_IGNORED_SURV_MODIFY | Notification.FAN_MARK_IGNORE;
        if (mask != 0)
        {
            Notification.Mark(group, Notification.FAN_MARK_ADD | kind | (flags & ~OfIgnored), mask, target);
        }

        if (ignoredMask != 0)
        {
            uint ignore = (flags & Notification.FAN_MARK_IGNORE) != 0 ? 0 : Notification.FAN_MARK_IGNORED_MASK;
            Notification.Mark(group, Notification.FAN_MARK_ADD | kind | flags | ignore, ignoredMask, target);
        }
    }

    private static FanotifyMarkEntry ToEntry(OpenFile file, uint id, FanotifyMark mark)
    {
        FanotifyMarkEntry entry = new()
        {
            Id = id, Mflags = mark.MarkFlags, Mask = mark.Mask, IgnoredMask = mark.IgnoredMask, SDev = mark.SuperBlockDevice,
        };
        if (mark.Kind == FanotifyMarkKind.Inode)
        {
            entry.Type = MarkType.Inode;
            entry.Ie = new FanotifyInodeMarkEntry
            {
                IIno = mark.ObjectId, FHandle = WatchedInode.Save(file, mark.SuperBlockDevice, mark.ObjectId, mark.Handle),
            };
            return entry;
        }

        MountInfo mount = MountOf(file.Pid, mark)!;
        entry.Type = MarkType.Mount;
        entry.SDev = WatchedInode.DeviceOf(mount);
        entry.Me = new FanotifyMountMarkEntry { MntId = (uint)mark.ObjectId, Path = ByteString.CopyFrom(mount.MountPoint.Bytes) };
        return entry;
    }

    // The last mount at a place covers those before it.
    private static MountInfo? MountOf(int pid, FanotifyMark mark)
    {
        using ProcDirectory proc = new(pid);
        List<MountInfo> mounts = MountInfo.Read(proc);
        MountInfo? mount = mark.Kind == FanotifyMarkKind.Mount
            ? mounts.Find(m => (ulong)m.Id == mark.ObjectId)
            : mounts.FindLast(m => WatchedInode.DeviceOf(m) == mark.SuperBlockDevice && IsOnTop(m, mounts));
        return mount is not null && IsOnTop(mount, mounts) ? mount : null;
    }

    private static bool IsOnTop(MountInfo mount, List<MountInfo> mounts) => mounts.FindLast(m => m.MountPoint == mount.MountPoint) == mount;

    private static SafeFileHandle OpenMount(ByteString path) =>
        OpenAt.TryOpen(null, CString.From(path.Span), Fcntl.O_PATH, out int errno)
        ?? throw new KernelException($"open of the marked mount {new OsText(path.Span).ToDisplayString()}", errno);
}
