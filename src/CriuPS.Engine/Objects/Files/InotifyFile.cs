using CriuPS.Engine.Compel;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// Watches of files and directories (inotify(7), struct fsnotify_group). fdinfo tells the inode of each watch, its number and events. They are added again by
/// inotify_add_watch(2), with the old number (INOTIFY_IOC_SETNEXTWD, since Linux 4.16), when nothing more has to be opened: our own doings must not show in
/// them. Events that nobody has read are taken out at a dump and caused again at a restore (<see cref="InotifyQueue"/>).
/// </summary>
internal sealed class InotifyFile : IFileKind, ISelfMade
{
    public FdTypes Type => FdTypes.Inotify;

    public bool Recognizes(OpenFile file) => Is(file);

    public static bool Is(OpenFile file) => file.Link.Bytes.SequenceEqual("anon_inode:inotify"u8);

    public (string Reason, string Remedy)? Objection(OpenFile file, TreeFiles tree)
    {
        foreach (InotifyWatch watch in file.Info!.InotifyWatches)
        {
            string name = $"watch {watch.Watch}";
            if (WatchedInode.Objection(file, name, watch.SuperBlockDevice, watch.Inode, watch.Handle, tree) is { } objection)
            {
                return objection;
            }
        }

        return null;
    }

    public FileEntry Save(OpenFile file, HeldFile held, uint id, FileImages images)
    {
        InotifyFileEntry saved = new() { Id = id, Flags = (uint)file.FileFlags, Fown = FileOwner.Save(file, images.Tree) };
        images.Events.Save(file, id);

        // fdinfo has the latest first; images have them as they were made.
        foreach (InotifyWatch watch in file.Info!.InotifyWatches.OrderBy(w => w.Watch))
        {
            saved.Wd.Add(new InotifyWdEntry
            {
                Id = id, IIno = watch.Inode, Mask = watch.Mask, IgnoredMask = watch.IgnoredMask, SDev = watch.SuperBlockDevice, Wd = (uint)watch.Watch,
                FHandle = WatchedInode.Save(file, watch.SuperBlockDevice, watch.Inode, watch.Handle),
            });
        }

        return new FileEntry { Type = Type, Id = id, Ify = saved };
    }

    public void Validate(FileEntry entry, FileOpening opening)
    {
        foreach (InotifyWdEntry watch in entry.Ify.Wd)
        {
            WatchedInode.Validate(watch.FHandle, watch.SDev, watch.IIno, opening);
        }
    }

    public SafeFileHandle Open(FileEntry entry, FileOpening opening)
    {
        SafeFileHandle inotify = EventFiles.Inotify((int)entry.Ify.Flags & Fcntl.O_NONBLOCK);
        InotifyQueue.Put(
            inotify, [.. opening.Notify(entry.Id)?.Events.Select(InotifyEvent.From) ?? []], entry.Ify.Wd.Select(w => (int)w.Wd));
        return inotify;
    }

    // What watches nothing and has nothing to tell.
    public bool CanBeSelfMade(FileEntry entry, FileOpening opening) => entry.Ify.Wd.Count == 0 && opening.Notify(entry.Id) is null;

    public void AddMaking(FileEntry entry, int number, bool closeOnExec, SyscallBatch batch) => batch.Add(
        "inotify_init1", SyscallNumber.inotify_init1, ((int)entry.Ify.Flags & Fcntl.O_NONBLOCK) | (closeOnExec ? Fcntl.O_CLOEXEC : 0));

    public void Settle(FileEntry entry, int fd, RemoteBatch batch, FileOpening opening)
    {
        using SafeFileHandle process = PidFd.Open(batch.Task.Pid);
        using SafeFileHandle inotify = PidFd.GetFd(process, fd);
        foreach (InotifyWdEntry watch in entry.Ify.Wd)
        {
            using SafeFileHandle watched = WatchedInode.Open(watch.FHandle, watch.SDev, watch.IIno, opening);
            Notification.AddWatch(inotify, watched, watch.Mask, (int)watch.Wd);
        }

        // A number that events still speak of is not given again.
        IEnumerable<int> events = opening.Notify(entry.Id)?.Events.Select(e => e.Watch) ?? [];
        Notification.SetNextWatch(inotify, entry.Ify.Wd.Select(w => (int)w.Wd).Concat(events).Append(0).Max() + 1);
    }
}
