using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Kernel;

/// <summary>
/// Our own table of descriptors. Whenever one is full, the kernel makes another of twice the size, and if several threads use it waits until all processors have seen
/// that (fs/file.c, expand_fdtable: synchronize_rcu), which takes some 10 ms.
/// </summary>
internal static class DescriptorTable
{
    private const int Usual = 128, Most = 4096, StackSize = 64 << 10;

    /// <summary>Begins to make room for what an operation will hold, beside what comes next.</summary>
    /// <param name="descriptors">How many that may be.</param>
    public static void Expect(int descriptors)
    {
        if (descriptors > Usual)
        {
            // One of the pool's would be missed by those who work meanwhile.
            new Thread(() => Grow(Math.Min(descriptors + Usual, Most)), StackSize) { IsBackground = true }.Start();
        }
    }

    // The table grows up to the highest number in it. Beyond the limit there is none (RLIMIT_NOFILE); then it grows as it needs to.
    private static void Grow(int size)
    {
        using SafeFileHandle any = PidFd.Open(Environment.ProcessId);
        using DescriptorHold hold = new(any);
        long copy = Syscall.Invoke(SyscallNumber.fcntl, hold.Number, Fcntl.F_DUPFD_CLOEXEC, size - 1);
        if (!Syscall.IsError(copy))
        {
            Syscall.Invoke(SyscallNumber.close, copy);
        }
    }
}
