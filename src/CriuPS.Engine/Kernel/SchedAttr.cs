using System.Runtime.InteropServices;

namespace CriuPS.Engine.Kernel;

/// <summary>sched_getattr(2) and its structure (include/uapi/linux/sched/types.h).</summary>
internal static unsafe class SchedAttr
{
    public const int SCHED_DEADLINE = 6;
    public const ulong SCHED_FLAG_UTIL_CLAMP_MIN = 0x20, SCHED_FLAG_UTIL_CLAMP_MAX = 0x40;

    /// <summary>struct sched_attr.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct sched_attr
    {
        public uint size;
        public uint sched_policy;
        public ulong sched_flags;
        public int sched_nice;
        public uint sched_priority;
        public ulong sched_runtime;
        public ulong sched_deadline;
        public ulong sched_period;
        public uint sched_util_min;
        public uint sched_util_max;
    }

    /// <summary>The attributes of a task; 0 is the calling thread.</summary>
    public static sched_attr Of(int tid)
    {
        sched_attr attributes;
        Syscall.Check(Syscall.Invoke(SyscallNumber.sched_getattr, tid, (long)&attributes, sizeof(sched_attr), 0), "sched_getattr");
        return attributes;
    }
}
