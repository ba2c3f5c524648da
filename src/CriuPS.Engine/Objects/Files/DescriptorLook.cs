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

    private readonly ProcDirectory _proc;
    private readonly LockTable? _locks;
    private readonly ProcDirectory _self = new(Environment.ProcessId);
    private readonly SafeFileHandle _pidfd;
    private readonly ulong _pipeDevice = DeviceOfPipes();

    /// <param name="proc">The process; it stays the caller's.</param>
    /// <param name="locks">Which files may be locked; null to ask fdinfo about every descriptor.</param>
    public DescriptorLook(ProcDirectory proc, LockTable? locks)
    {
        (_proc, _locks) = (proc, locks);
        _pidfd = PidFd.Open(proc.Pid);
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
        int flags = Fcntl.Flags(file) & ~Fcntl.O_CLOEXEC;
        if (_locks is not null && Position(file, status, flags) is { } position)
        {
            return new OpenFile(_proc.Pid, fd, Link(file, status, flags, null), status, position, flags);
        }

        try
        {
            FdInfo info = FdInfo.Read(_proc, fd);
            return new OpenFile(_proc.Pid, fd, Link(file, status, flags, info), status, info.Position, (int)info.Flags) { Info = info };
        }
        catch (CriuException e) when (e.Id == "ProcFileMissing")
        {
            // Closed meanwhile, which only a process does that still runs.
            return null;
        }
    }

    // Where that is all that fdinfo would tell: of files that nothing but a place belongs to and nobody can have locked. Elsewhere a file system may give stat(2)
    // another inode number than its locks have, or keep its own idea of a place.
    private long? Position(in BorrowedDescriptor file, in FileStatus.stat status, int flags)
    {
        uint kind = status.st_mode & FileStatus.S_IFMT;
        bool isPlain = kind is FileStatus.S_IFREG or FileStatus.S_IFIFO or FileStatus.S_IFSOCK || (kind == FileStatus.S_IFCHR && IsEmptyDevice(status));
        if (!isPlain || (flags & Fcntl.O_PATH) != 0 || _locks!.MayHave(status) || !IsPlainFileSystem(FileSystemType.Of(file)))
        {
            return null;
        }

        return kind == FileStatus.S_IFREG ? Fcntl.Position(file) : 0;
    }

    private static bool IsPlainFileSystem(long type) => type is FileSystemType.EXT4_SUPER_MAGIC or FileSystemType.XFS_SUPER_MAGIC or FileSystemType.TMPFS_MAGIC
        or FileSystemType.PIPEFS_MAGIC or FileSystemType.SOCKFS_MAGIC;

    // Documentation/admin-guide/devices.txt: null, zero and full, which have no place (drivers/char/mem.c, null_lseek).
    private static bool IsEmptyDevice(in FileStatus.stat status) => status.st_rdev is 0x103 or 0x105 or 0x107;

    public void Dispose()
    {
        _pidfd.Dispose();
        _self.Dispose();
    }

    private OsText Link(in BorrowedDescriptor file, in FileStatus.stat status, int flags, FdInfo? info) => (status.st_mode & FileStatus.S_IFMT) switch
    {
        // fs/pipe.c, pipefs_dname; net/socket.c, sockfs_dname. By its path a socket cannot be opened but with O_PATH.
        FileStatus.S_IFIFO when status.st_dev == _pipeDevice => Numbered("pipe:["u8, status.st_ino),
        FileStatus.S_IFSOCK when (flags & Fcntl.O_PATH) == 0 => Numbered("socket:["u8, status.st_ino),
        _ when info?.EventFd is not null => s_event,
        _ when info?.TimerFd is not null => s_timer,
        _ when info?.SignalMask is not null => s_signal,
        _ => _self.TryReadLinkText("fd/", file.Number, out int errno) ?? throw _self.Failure("readlinkat", $"fd/{file.Number}", errno),
    };

    private static OsText Numbered(ReadOnlySpan<byte> text, ulong inode)
    {
        Span<byte> whole = stackalloc byte[40];
        text.CopyTo(whole);
        System.Buffers.Text.Utf8Formatter.TryFormat(inode, whole[text.Length..], out int digits);
        whole[text.Length + digits] = (byte)']';
        return new OsText(whole[..(text.Length + digits + 1)]);
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
