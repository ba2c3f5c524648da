using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Kernel;

/// <summary>inotify(7) and fanotify(7): watches and marks.</summary>
internal static unsafe class Notification
{
    public const uint IN_ACCESS = 1, IN_MODIFY = 2, IN_ATTRIB = 4, IN_CLOSE_WRITE = 8, IN_CLOSE_NOWRITE = 0x10, IN_OPEN = 0x20;
    public const uint IN_MOVED_FROM = 0x40, IN_MOVED_TO = 0x80, IN_CREATE = 0x100, IN_DELETE = 0x200, IN_DELETE_SELF = 0x400, IN_MOVE_SELF = 0x800;
    public const uint IN_UNMOUNT = 0x2000, IN_Q_OVERFLOW = 0x4000, IN_IGNORED = 0x8000, IN_ISDIR = 0x40000000, IN_ALL_EVENTS = 0xfff;

    public const uint FAN_NONBLOCK = 2, FAN_MARK_ADD = 1, FAN_MARK_MOUNT = 0x10, FAN_MARK_IGNORED_MASK = 0x20;
    public const uint FAN_MARK_IGNORED_SURV_MODIFY = 0x40, FAN_MARK_FILESYSTEM = 0x100, FAN_MARK_IGNORE = 0x400;
    public const uint FAN_OPEN_PERM = 0x10000, FAN_ACCESS_PERM = 0x20000, FAN_OPEN_EXEC_PERM = 0x40000, FAN_PRE_ACCESS = 0x100000;

    /// <summary>Size of struct inotify_event, without the name behind it.</summary>
    public const int InotifyEventSize = 16;

    /// <summary>Adds a watch, or changes the one that is there; the result is its number.</summary>
    public static int AddWatch(SafeFileHandle inotify, ReadOnlySpan<byte> path, uint mask)
    {
        fixed (byte* text = CString.From(path))
        {
            long result = Syscall.Invoke(SyscallNumber.inotify_add_watch, inotify.DangerousGetHandle(), (long)text, mask);
            return (int)Syscall.Check(result, () => $"inotify_add_watch(mask 0x{mask:x})");
        }
    }

    /// <summary>Adds a watch of an open file, under a number of its own.</summary>
    public static void AddWatch(SafeFileHandle inotify, SafeFileHandle file, uint mask, int number)
    {
        SetNextWatch(inotify, number);
        AddWatch(inotify, System.Text.Encoding.UTF8.GetBytes($"/proc/self/fd/{file.DangerousGetHandle()}"), mask);
    }

    /// <summary>Which number the next watch gets (since Linux 4.16, CONFIG_CHECKPOINT_RESTORE).</summary>
    public static void SetNextWatch(SafeFileHandle inotify, int number)
    {
        long result = Syscall.Invoke(SyscallNumber.ioctl, inotify.DangerousGetHandle(), EventFiles.INOTIFY_IOC_SETNEXTWD, number);
        Syscall.Check(result, "ioctl(INOTIFY_IOC_SETNEXTWD)");
    }

    public static void RemoveWatch(SafeFileHandle inotify, int number) => Syscall.Check(
        Syscall.Invoke(SyscallNumber.inotify_rm_watch, inotify.DangerousGetHandle(), number), () => $"inotify_rm_watch({number})");

    /// <summary>Makes a fanotify group. Needs CAP_SYS_ADMIN unless its flags say that it works without.</summary>
    public static SafeFileHandle Fanotify(uint flags, uint eventFlags)
    {
        // The group would remember FAN_CLOEXEC for ever, and show it.
        long fd = Syscall.Invoke(SyscallNumber.fanotify_init, flags, eventFlags);
        SafeFileHandle group = new((nint)Syscall.Check(fd, () => $"fanotify_init(0x{flags:x})"), ownsHandle: true);
        Fcntl.Control(group, Fcntl.F_SETFD, Fcntl.FD_CLOEXEC);
        return group;
    }

    /// <summary>Adds a mark on an open file, its mount or its file system.</summary>
    public static void Mark(SafeFileHandle group, uint flags, ulong mask, SafeFileHandle file)
    {
        nint number = group.DangerousGetHandle();
        fixed (byte* path = CString.From($"/proc/self/fd/{file.DangerousGetHandle()}"))
        {
            long result = Syscall.Invoke(SyscallNumber.fanotify_mark, number, flags, (long)mask, OpenAt.AT_FDCWD, (long)path);
            Syscall.Check(result, () => $"fanotify_mark(0x{flags:x}, 0x{mask:x})");
        }
    }
}
