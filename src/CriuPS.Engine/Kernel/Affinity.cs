namespace CriuPS.Engine.Kernel;

/// <summary>sched_getaffinity(2).</summary>
internal static unsafe class Affinity
{
    // A bit for each processor; x86-64 kernels have no more than 8192 (NR_CPUS).
    private const int Size = 1024;

    /// <summary>The processors of a task, bit n for processor n; 0 is the calling thread.</summary>
    public static byte[] Of(int tid)
    {
        byte* mask = stackalloc byte[Size];
        long length = Syscall.Check(Syscall.Invoke(SyscallNumber.sched_getaffinity, tid, Size, (long)mask), () => $"sched_getaffinity({tid})");
        return new Span<byte>(mask, (int)length).ToArray();
    }
}
