using CriuPS.Engine.Compel;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// Watches of files and directories (inotify(7), struct fsnotify_group). fdinfo tells the inode of each watch, its number and events. They are added again by
/// inotify_add_watch(2) under a name of the inode, with the old number (INOTIFY_IOC_SETNEXTWD, since Linux 4.16), when nothing more has to be opened: our own
/// doings must not show in them. Events that nobody has read cannot be put back, so there must be none.
/// </summary>
internal sealed class InotifyFile : IFileKind
{
    public FdTypes Type => FdTypes.Inotify;

    public bool Recognizes(OpenFile file) => file.Link.Bytes.SequenceEqual("anon_inode:inotify"u8);

    public (string Reason, string Remedy)? Objection(OpenFile file, TreeFiles tree)
    {
        foreach (InotifyWatch watch in file.Info!.InotifyWatches)
        {
            if (NameOf(file, watch) is null)
            {
                return ($"its watch {watch.Watch} is on inode {watch.Inode}, of which no name can be found", "let the program take the watch away");
            }
        }

        return null;
    }

    public FileEntry Save(OpenFile file, SafeFileHandle handle, uint id, FileImages images)
    {
        if (EventFiles.Readable(handle) is > 0 and int bytes)
        {
            throw new RefusedException([new Refusal(
                file.Pid, "", file.ToString(), $"{bytes} bytes of events wait in it, which cannot be put back", "try again when the program has read them")]);
        }

        InotifyFileEntry saved = new() { Id = id, Flags = (uint)file.FileFlags, Fown = FileOwner.Save(file, handle, images.Tree) };

        // fdinfo has the latest first; images have them as they were made.
        foreach (InotifyWatch watch in file.Info!.InotifyWatches.OrderBy(w => w.Watch))
        {
            OsText name = NameOf(file, watch) ?? throw new CriuException("WatchLost", CriuErrorKind.NotSupported, $"{file}: watch {watch.Watch} has no name");
            saved.Wd.Add(new InotifyWdEntry
            {
                Id = id, IIno = watch.Inode, Mask = watch.Mask, IgnoredMask = watch.IgnoredMask, SDev = watch.SuperBlockDevice, Wd = (uint)watch.Watch,
                FHandle = WatchedInode.Save(watch.Handle, name),
            });
        }

        return new FileEntry { Type = Type, Id = id, Ify = saved };
    }

    public void Validate(FileEntry entry, FileOpening opening)
    {
        foreach (InotifyWdEntry watch in entry.Ify.Wd)
        {
            if (!watch.FHandle.HasPath)
            {
                throw new CriuException("WatchWithoutName", CriuErrorKind.NotSupported, $"the images have no name of what its watch {watch.Wd} is on");
            }

            if (!FileStatus.TryOf(watch.FHandle.Path.Span, out _, out int errno, followLinks: false))
            {
                string name = new OsText(watch.FHandle.Path.Span).ToDisplayString();
                throw new CriuException("FileChanged", CriuErrorKind.InvalidData, $"{name}, which it watches, cannot be found: {Errno.Describe(errno)}")
                {
                    Subject = name, Errno = errno, Remedy = "put the file back where it was",
                };
            }
        }
    }

    public SafeFileHandle Open(FileEntry entry, FileOpening opening) => EventFiles.Inotify((int)entry.Ify.Flags & Fcntl.O_NONBLOCK);

    public void Settle(FileEntry entry, int fd, RemoteBatch batch)
    {
        foreach (InotifyWdEntry watch in entry.Ify.Wd)
        {
            byte[] name = [.. watch.FHandle.Path.Span, 0];
            SyscallProgram program = batch.Room(2, name.Length);
            ulong path = program.Put(name);
            program.Add("ioctl(INOTIFY_IOC_SETNEXTWD)", SyscallNumber.ioctl, fd, EventFiles.INOTIFY_IOC_SETNEXTWD, (long)watch.Wd);
            program.Add($"inotify_add_watch of {new OsText(name).ToDisplayString()}", SyscallNumber.inotify_add_watch, fd, path, (long)watch.Mask);
        }
    }

    private static OsText? NameOf(OpenFile file, InotifyWatch watch) =>
        WatchedInode.FindName(file.Pid, watch.SuperBlockDevice, watch.Inode, watch.Handle);
}
