using System.Runtime.InteropServices;

namespace CriuPS.Engine.Kernel;

/// <summary>struct __kernel_timespec (include/uapi/linux/time_types.h): a time or a span of time.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct timespec
{
    public long tv_sec;
    public long tv_nsec;

    public readonly long ToNanoseconds() => tv_sec * 1_000_000_000 + tv_nsec;
}
