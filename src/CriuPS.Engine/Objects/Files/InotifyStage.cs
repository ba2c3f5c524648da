using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// A directory of ours in which events are caused again: a watch with the old number stands on something in it that nobody else knows. The kernel makes
/// events from what happens and takes them from nobody.
/// </summary>
internal sealed class InotifyStage : IDisposable
{
    // A watch must be for something; this comes to no watch.
    private const uint Nothing = Notification.IN_Q_OVERFLOW;
    private const uint OwnerOnly = 0x1c0;

    private readonly SafeFileHandle _inotify;
    private readonly HashSet<int> _directories;
    private readonly Dictionary<int, byte[]> _watched = [];
    private readonly string _base = Directory.CreateTempSubdirectory("criups-events-").FullName;
    private readonly int _fillerWatch;
    private SafeFileHandle? _filler;
    private int _names;

    /// <param name="inotify">Takes the events.</param>
    /// <param name="events">Those that will be caused.</param>
    /// <param name="fillerWatch">A number that none of them has.</param>
    public InotifyStage(SafeFileHandle inotify, IEnumerable<InotifyEvent> events, int fillerWatch)
    {
        (_inotify, _fillerWatch) = (inotify, fillerWatch);
        _directories = [.. events.Where(e => e.Name.Length > 0 || e.IsAboutDirectory).Select(e => e.Watch)];
    }

    /// <summary>Whether an event can be caused again: all but the end of a file system, and what a later kernel may tell.</summary>
    public static bool CanCause(InotifyEvent happened) =>
        happened.Kind == Notification.IN_IGNORED || ((happened.Kind & Notification.IN_ALL_EVENTS) == happened.Kind && uint.IsPow2(happened.Kind));

    /// <summary>Causes an event.</summary>
    /// <param name="happened">The event; the first half of a rename causes the second one too.</param>
    /// <param name="second">The second half of a rename; null where there is none.</param>
    public void Cause(InotifyEvent happened, InotifyEvent? second = null)
    {
        byte[] self = Watched(happened.Watch);
        byte[] subject = happened.Name.Length == 0 ? self : [.. self, (byte)'/', .. happened.Name];
        switch (happened.Kind)
        {
            case Notification.IN_IGNORED:
                Notification.RemoveWatch(_inotify, happened.Watch);
                _watched.Remove(happened.Watch);
                break;
            case Notification.IN_DELETE_SELF:
                // The kernel takes the watch away, and says IN_IGNORED, by itself.
                Listen(happened);
                Remove(self);
                _watched.Remove(happened.Watch);
                break;
            case Notification.IN_MOVE_SELF:
                Listen(happened);
                _watched[happened.Watch] = NewName();
                Rename(self, _watched[happened.Watch]);
                Listen(happened.Watch, Nothing);
                break;
            case Notification.IN_MOVED_FROM or Notification.IN_MOVED_TO:
                Move(happened, second);
                break;
            default:
                Touch(happened, subject);
                break;
        }
    }

    /// <summary>Causes an event that means nothing.</summary>
    /// <param name="write">Which of two kinds.</param>
    public void CauseFiller(bool write)
    {
        if (_filler is null)
        {
            byte[] path = Watched(_fillerWatch);
            _filler = Open(path, Fcntl.O_RDWR);
            Listen(_fillerWatch, Notification.IN_ACCESS | Notification.IN_MODIFY);
        }

        Span<byte> buffer = stackalloc byte[1];
        int errno = write ? FileAt.TryWriteAllAt(_filler, buffer, 0) : (int)-Math.Min(FileRead.ReadAt(_filler, buffer, 0), 0);
        if (errno != 0)
        {
            throw new KernelException("filling a queue of events", errno);
        }
    }

    /// <summary>Takes away the watches that are left.</summary>
    public void RemoveWatches()
    {
        foreach (int watch in _watched.Keys)
        {
            Notification.RemoveWatch(_inotify, watch);
        }

        _watched.Clear();
    }

    public void Dispose()
    {
        _filler?.Dispose();
        Directory.Delete(_base, recursive: true);
    }

    private void Touch(InotifyEvent happened, byte[] subject)
    {
        const int ToOpen = Fcntl.O_RDONLY | Fcntl.O_NONBLOCK;
        if (happened.Kind == Notification.IN_CREATE)
        {
            Listen(happened);
            Make(subject, happened.IsAboutDirectory);
            Listen(happened.Watch, Nothing);
            Remove(subject);
            return;
        }

        bool isDirectory = happened.Name.Length > 0 ? happened.IsAboutDirectory : _directories.Contains(happened.Watch);
        if (!FileStatus.TryOf(subject, out _, out _))
        {
            Make(subject, isDirectory);
        }

        int mode = happened.Kind is Notification.IN_MODIFY or Notification.IN_CLOSE_WRITE ? Fcntl.O_WRONLY : ToOpen;
        bool opens = happened.Kind == Notification.IN_OPEN;
        using (SafeFileHandle? file = opens ? null : Open(subject, mode))
        {
            Listen(happened);
            Act(happened.Kind, subject, file, isDirectory);
        }

        Listen(happened.Watch, Nothing);
        if (happened.Name.Length > 0)
        {
            Remove(subject);
        }
    }

    private static void Act(uint kind, byte[] subject, SafeFileHandle? file, bool isDirectory)
    {
        switch (kind)
        {
            case Notification.IN_OPEN:
                Open(subject, Fcntl.O_RDONLY | Fcntl.O_NONBLOCK).Dispose();
                break;
            case Notification.IN_ACCESS:
                byte[] buffer = new byte[4096];
                Syscall.Check(isDirectory ? GetDents.Read(file!, buffer) : FileRead.Read(file!, buffer.AsSpan(0, 1)), "read on the stage of events");
                break;
            case Notification.IN_MODIFY:
                Syscall.Check(Fcntl.Write(file!, "x"u8), "write on the stage of events");
                break;
            case Notification.IN_ATTRIB:
                InodeAttributes.SetMode(file!, OwnerOnly);
                break;
            case Notification.IN_DELETE:
                Remove(subject);
                break;
            default:
                // IN_CLOSE_*: comes with the end of the caller's block.
                break;
        }
    }

    private void Move(InotifyEvent happened, InotifyEvent? second)
    {
        bool leaves = happened.Kind == Notification.IN_MOVED_FROM;
        byte[] here = [.. Watched(happened.Watch), (byte)'/', .. happened.Name];
        byte[] there = second is { } half ? [.. Watched(half.Watch), (byte)'/', .. half.Name] : NewName();
        (byte[] from, byte[] to) = leaves ? (here, there) : (there, here);
        Make(from, happened.IsAboutDirectory);
        bool both = second is { } other && other.Watch == happened.Watch;
        Listen(happened.Watch, happened.Kind | (both ? second!.Value.Kind : 0));
        if (second is { } last && !both)
        {
            Listen(last);
        }

        Rename(from, to);
        Listen(happened.Watch, Nothing);
        if (second is { } done && !both)
        {
            Listen(done.Watch, Nothing);
        }

        Remove(to);
    }

    private byte[] Watched(int watch)
    {
        if (!_watched.TryGetValue(watch, out byte[]? path))
        {
            path = _watched[watch] = NewName();
            Make(path, _directories.Contains(watch));
            Notification.SetNextWatch(_inotify, watch);
            if (Notification.AddWatch(_inotify, path, Nothing) != watch)
            {
                throw new KernelException($"inotify_add_watch as watch {watch}", Errno.EEXIST);
            }
        }

        return path;
    }

    private void Listen(InotifyEvent happened) => Listen(happened.Watch, happened.Kind);

    private void Listen(int watch, uint mask) => Notification.AddWatch(_inotify, _watched[watch], mask);

    private byte[] NewName() => System.Text.Encoding.UTF8.GetBytes($"{_base}/{++_names}");

    private static SafeFileHandle Open(byte[] path, int flags) =>
        OpenAt.TryOpen(null, CString.From(path), flags, out int errno) ?? throw Failure("open", path, errno);

    private static void Make(byte[] path, bool isDirectory)
    {
        int errno;
        if (isDirectory)
        {
            errno = FileNames.TryMakeDirectory(path, OwnerOnly);
        }
        else
        {
            using SafeFileHandle? file = FileNames.TryCreate(path, out errno);
            if (file is not null)
            {
                // Something to be read.
                errno = FileAt.TryWriteAllAt(file, "x"u8, 0);
            }
        }

        if (errno != 0)
        {
            throw Failure("making", path, errno);
        }
    }

    private static void Remove(byte[] path)
    {
        int errno = FileNames.TryUnlink(path);
        errno = errno == Errno.EISDIR ? FileNames.TryRemoveDirectory(path) : errno;
        if (errno is not 0 and not Errno.ENOENT)
        {
            throw Failure("removing", path, errno);
        }
    }

    private static void Rename(byte[] from, byte[] to)
    {
        if (FileNames.TryRename(from, to) is not 0 and int errno)
        {
            throw Failure("renaming", from, errno);
        }
    }

    private static KernelException Failure(string act, byte[] path, int errno) => new($"{act} {new Proc.OsText(path).ToDisplayString()}", errno);
}
