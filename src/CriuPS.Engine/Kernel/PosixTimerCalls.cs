using System.Runtime.InteropServices;

namespace CriuPS.Engine.Kernel;

/// <summary>timer_create(2), timer_settime(2) and their structures (include/uapi/asm-generic/siginfo.h, include/uapi/linux/time.h).</summary>
internal static unsafe class PosixTimerCalls
{
    public const int SIGEV_SIGNAL = 0, SIGEV_NONE = 1, SIGEV_THREAD_ID = 4;
    public const int TIMER_ABSTIME = 1;
    public const int CLOCK_REALTIME = 0, CLOCK_MONOTONIC = 1, CLOCK_THREAD_CPUTIME_ID = 3, CLOCK_BOOTTIME = 7, CLOCK_REALTIME_ALARM = 8;
    public const int CLOCK_BOOTTIME_ALARM = 9, CLOCK_TAI = 11;

    /// <summary>struct __kernel_itimerspec.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct itimerspec
    {
        public timespec it_interval;
        public timespec it_value;
    }

    /// <summary>struct sigevent.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 64)]
    public struct sigevent
    {
        public ulong sigev_value;
        public int sigev_signo;
        public int sigev_notify;
        public int sigev_notify_thread_id;
    }

    /// <summary>Whether a process may choose the numbers of its timers (PR_TIMER_CREATE_RESTORE_IDS, since Linux 6.15).</summary>
    public static bool CanChooseIds() =>
        !Syscall.IsError(Syscall.Invoke(SyscallNumber.prctl, Prctl.PR_TIMER_CREATE_RESTORE_IDS, Prctl.PR_TIMER_CREATE_RESTORE_IDS_GET));

    /// <summary>How often in a second the kernel's own clock ticks (CONFIG_HZ): the resolution of the coarse clock tells it (clock_getres(2)).</summary>
    public static long TicksPerSecond()
    {
        const int CLOCK_MONOTONIC_COARSE = 6;
        timespec time;
        Syscall.Check(Syscall.Invoke(SyscallNumber.clock_getres, CLOCK_MONOTONIC_COARSE, (long)&time), "clock_getres(CLOCK_MONOTONIC_COARSE)");
        return 1_000_000_000 / time.tv_nsec;
    }

    /// <summary>What a clock shows.</summary>
    public static timespec ClockGetTime(int clock)
    {
        timespec time;
        Syscall.Check(Syscall.Invoke(SyscallNumber.clock_gettime, clock, (long)&time), () => $"clock_gettime({clock})");
        return time;
    }
}
