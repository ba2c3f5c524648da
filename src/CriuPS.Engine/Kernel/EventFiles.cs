using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Kernel;

/// <summary>eventfd(2), signalfd(2), timerfd_create(2), epoll_create(2), inotify(7): files that are made of nothing but an event.</summary>
internal static unsafe class EventFiles
{
    public const int EFD_SEMAPHORE = 1, TFD_TIMER_ABSTIME = 1, EPOLL_CTL_ADD = 1;

    /// <summary>Size of struct epoll_event, which is packed on x86-64 (include/uapi/linux/eventpoll.h).</summary>
    public const int EpollEventSize = 12;

    /// <summary>Which number the next watch gets (include/uapi/linux/inotify.h).</summary>
    public const int INOTIFY_IOC_SETNEXTWD = 0x40044900;

    /// <summary>How often a timer has expired that nobody has read (since Linux 3.17, CONFIG_CHECKPOINT_RESTORE).</summary>
    public const int TFD_IOC_SET_TICKS = 0x40085400;

    private const int FIONREAD = 0x541b;

    public static SafeFileHandle EventFd(ulong counter, int flags)
    {
        SafeFileHandle file = Owned(Syscall.Invoke(SyscallNumber.eventfd2, 0, flags | Fcntl.O_CLOEXEC), "eventfd2");
        if (counter != 0)
        {
            Syscall.Check(Fcntl.Write(file, MemoryMarshal.AsBytes(new ReadOnlySpan<ulong>(in counter))), "write of an eventfd's counter");
        }

        return file;
    }

    public static SafeFileHandle SignalFd(ulong mask, int flags) =>
        Owned(Syscall.Invoke(SyscallNumber.signalfd4, -1, (long)&mask, sizeof(ulong), flags | Fcntl.O_CLOEXEC), "signalfd4");

    public static SafeFileHandle Epoll() => Owned(Syscall.Invoke(SyscallNumber.epoll_create1, Fcntl.O_CLOEXEC), "epoll_create1");

    public static SafeFileHandle TimerFd(int clock, int flags) =>
        Owned(Syscall.Invoke(SyscallNumber.timerfd_create, clock, flags | Fcntl.O_CLOEXEC), () => $"timerfd_create(clock {clock})");

    public static void SetTime(SafeFileHandle timer, int flags, PosixTimerCalls.itimerspec time) => Syscall.Check(
        Syscall.Invoke(SyscallNumber.timerfd_settime, timer.DangerousGetHandle(), flags, (long)&time, 0), "timerfd_settime");

    /// <summary>Lets a timer count its expirations up to now.</summary>
    public static void CatchUp(SafeFileHandle timer)
    {
        PosixTimerCalls.itimerspec time;
        Syscall.Check(Syscall.Invoke(SyscallNumber.timerfd_gettime, timer.DangerousGetHandle(), (long)&time), "timerfd_gettime");
    }

    /// <summary>Lets a timer have expired so often (since Linux 3.17, CONFIG_CHECKPOINT_RESTORE).</summary>
    public static void SetTicks(SafeFileHandle timer, ulong ticks) => Syscall.Check(
        Syscall.Invoke(SyscallNumber.ioctl, timer.DangerousGetHandle(), TFD_IOC_SET_TICKS, (long)&ticks), "ioctl(TFD_IOC_SET_TICKS)");

    public static SafeFileHandle Inotify(int flags) =>
        Owned(Syscall.Invoke(SyscallNumber.inotify_init1, flags | Fcntl.O_CLOEXEC), "inotify_init1");

    /// <summary>How many bytes can be read.</summary>
    public static int Readable(SafeFileHandle file)
    {
        int bytes;
        Syscall.Check(Syscall.Invoke(SyscallNumber.ioctl, file.DangerousGetHandle(), FIONREAD, (long)&bytes), "ioctl(FIONREAD)");
        return bytes;
    }

    private static SafeFileHandle Owned(long fd, string call) => new((nint)Syscall.Check(fd, call), ownsHandle: true);

    private static SafeFileHandle Owned(long fd, Func<string> call) => new((nint)Syscall.Check(fd, call), ownsHandle: true);
}
