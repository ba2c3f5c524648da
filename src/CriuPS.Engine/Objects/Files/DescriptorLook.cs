using System.Globalization;
using System.Text.Unicode;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// Looks at the descriptors of a process one by one. Each is borrowed for a moment by pidfd_getfd(2), since asking the open file itself is much cheaper than asking
/// through a path of /proc; where the kind alone gives the text of the link, the link is not read. Any thread may look.
/// </summary>
internal sealed class DescriptorLook : IDisposable
{
    private static readonly OsText s_event = new("anon_inode:[eventfd]"u8), s_timer = new("anon_inode:[timerfd]"u8), s_signal = new("anon_inode:[signalfd]"u8);

    private static readonly Lazy<ulong> s_pipeDevice = new(DeviceOfPipes);

    private readonly ProcDirectory _proc;
    private readonly ProcDirectory _self = new(Environment.ProcessId);
    private readonly SafeFileHandle _pidfd;
    private readonly IReadOnlyDictionary<int, FileStructs.Facts>? _facts;

    // What eventfds have in common, as soon as fdinfo has told that one of them is one.
    private (ulong Operations, EventFdState State)? _eventKind;

    /// <param name="proc">The process; it stays the caller's.</param>
    /// <param name="facts">What the kernel's memory tells of its descriptors; null for nothing.</param>
    public DescriptorLook(ProcDirectory proc, IReadOnlyDictionary<int, FileStructs.Facts>? facts = null)
    {
        _proc = proc;
        _pidfd = PidFd.Open(proc.Pid);
        _facts = facts;
    }

    /// <summary>Looks at a descriptor; null where there is none, or none any more.</summary>
    public OpenFile? TryRead(int fd)
    {
        using BorrowedDescriptor file = PidFd.Borrow(_pidfd, fd, out int errno);
        if (errno != 0)
        {
            return errno == Errno.EBADF ? null : throw _proc.Failure("pidfd_getfd", $"fd/{fd}", errno);
        }

        FileStatus.stat status = FileStatus.Of(file);
        try
        {
            // Locks are told here only: /proc/locks makes everybody on the machine wait who locks a file (fs/locks.c, locks_start).
            FileStructs.Facts facts = _facts is null ? default : _facts.GetValueOrDefault(fd);
            FdInfo info = InfoOf(fd, facts);
            OpenFile look = new(_proc.Pid, fd, Link(file, status, info), status, info.Position, (int)info.Flags)
            {
                Info = info, Address = facts.Address, SocketFamily = Family(file, status, info),
                EmptyPipeSize = IsPipe(status) && facts.Pipe is { IsEmpty: true, Size: > 0 } pipe ? pipe.Size : null,
                Owner = facts.Address == 0 || facts.MayHaveOwner ? FileOwner.Of(file, info.Flags) : default,
            };
            look.Name = look.Link.StartsWith("/"u8) ? LostName.Look(look) : null;
            return look;
        }
        catch (CriuException e) when (e.Id == "ProcFileMissing")
        {
            // Closed meanwhile, which only a process does that still runs.
            return null;
        }
    }

    public void Dispose()
    {
        _pidfd.Dispose();
        _self.Dispose();
    }

    private FdInfo InfoOf(int fd, in FileStructs.Facts facts)
    {
        if (facts.Address == 0 || facts.MayHaveLocks)
        {
            return FdInfo.Read(_proc, fd);
        }

        if (!facts.ShowsMore)
        {
            return FdInfo.Of(facts);
        }

        lock (_self)
        {
            if (_eventKind is { } known && known.Operations == facts.Operations)
            {
                return FdInfo.Of(facts, known.State);
            }
        }

        FdInfo info = FdInfo.Read(_proc, fd);
        if (info.EventFd is { } state)
        {
            lock (_self)
            {
                _eventKind = (facts.Operations, state);
            }
        }

        return info;
    }

    private OsText Link(in BorrowedDescriptor file, in FileStatus.stat status, FdInfo info) => (status.st_mode & FileStatus.S_IFMT) switch
    {
        // fs/pipe.c, pipefs_dname; net/socket.c, sockfs_dname. By its path a socket cannot be opened but with O_PATH.
        FileStatus.S_IFIFO when IsPipe(status) => Numbered("pipe", status.st_ino),
        FileStatus.S_IFSOCK when (info.Flags & Fcntl.O_PATH) == 0 => Numbered("socket", status.st_ino),
        _ when info.EventFd is not null => s_event,
        _ when info.TimerFd is not null => s_timer,
        _ when info.SignalMask is not null => s_signal,
        _ => _self.TryReadLinkText("fd/", file.Number, out int errno) ?? throw _self.Failure("readlinkat", $"fd/{file.Number}", errno),
    };

    private static bool IsPipe(in FileStatus.stat status) =>
        (status.st_mode & FileStatus.S_IFMT) == FileStatus.S_IFIFO && status.st_dev == s_pipeDevice.Value;

    private static int Family(in BorrowedDescriptor file, in FileStatus.stat status, FdInfo info) =>
        (status.st_mode & FileStatus.S_IFMT) == FileStatus.S_IFSOCK && (info.Flags & Fcntl.O_PATH) == 0 ? SocketOption.Domain(file) : 0;

    private static OsText Numbered(string kind, ulong inode)
    {
        Span<byte> text = stackalloc byte[40];
        Utf8.TryWrite(text, CultureInfo.InvariantCulture, $"{kind}:[{inode}]", out int length);
        return new OsText(text[..length]);
    }

    private static ulong DeviceOfPipes()
    {
        (SafeFileHandle read, SafeFileHandle write) = Fcntl.Pipe(0);
        using (read)
        using (write)
        {
            return FileStatus.Of(read).st_dev;
        }
    }
}
