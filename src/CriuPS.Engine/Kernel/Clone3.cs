using System.Runtime.InteropServices;

namespace CriuPS.Engine.Kernel;

/// <summary>clone3(2): structure and flags (include/uapi/linux/sched.h).</summary>
internal static class Clone3
{
    public const ulong CLONE_VM = 0x100, CLONE_FS = 0x200, CLONE_FILES = 0x400, CLONE_SIGHAND = 0x800, CLONE_PTRACE = 0x2000;
    public const ulong CLONE_VFORK = 0x4000, CLONE_PARENT = 0x8000, CLONE_THREAD = 0x10000, CLONE_SYSVSEM = 0x40000;
    public const ulong CLONE_UNTRACED = 0x800000, CLONE_CLEAR_SIGHAND = 0x100000000;

    [StructLayout(LayoutKind.Sequential)]
    public struct clone_args
    {
        public ulong flags;
        public ulong pidfd;
        public ulong child_tid;
        public ulong parent_tid;
        public ulong exit_signal;
        public ulong stack;
        public ulong stack_size;
        public ulong tls;
        public ulong set_tid;
        public ulong set_tid_size;
        public ulong cgroup;
    }
}
