namespace CriuPS.Engine.Kernel;

/// <summary>clock_nanosleep(2) for waits that are shorter than a scheduler tick.</summary>
internal static unsafe class Nap
{
    public const int CLOCK_MONOTONIC = 1;

    /// <summary>Lets others run who wait for this processor, if there are any (sched_yield(2)).</summary>
    public static void Yield() => Syscall.Invoke(SyscallNumber.sched_yield);

    public static void Microseconds(int microseconds)
    {
        timespec time = new() { tv_sec = microseconds / 1_000_000, tv_nsec = microseconds % 1_000_000 * 1000L };
        Syscall.Invoke(SyscallNumber.clock_nanosleep, CLOCK_MONOTONIC, 0, (long)&time, 0);
    }
}
