using System.Runtime.InteropServices;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Check;

/// <summary>Filters of system calls, seen by a tracer: reading them and going round them (ptrace(2), seccomp(2)).</summary>
internal static class SeccompFeatures
{
    private const int PR_SET_SECCOMP = 22, SECCOMP_MODE_FILTER = 2, FilterLength = 4;
    private const ushort LoadWord = 0x20, JumpIfEqual = 0x15, Return = 0x06;
    private const uint SECCOMP_RET_ALLOW = 0x7fff0000, SECCOMP_RET_ERRNO = 0x00050000;

    /// <summary>struct sock_filter, include/uapi/linux/filter.h.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct sock_filter
    {
        public ushort code;
        public byte jt;
        public byte jf;
        public uint k;
    }

    /// <summary>struct sock_fprog, include/uapi/linux/filter.h.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct sock_fprog
    {
        public ushort len;
        public ulong filter;
    }

    public static readonly Feature Suspend = new("seccomp_suspend", FeatureCategory.Extra, ProbeSuspend)
    {
        NeededFor = "running our calls in a process whose calls are filtered", KnownToCriu = true,
        Since = "Linux 4.3 with CONFIG_CHECKPOINT_RESTORE", Privilege = "CAP_SYS_ADMIN",
    };

    public static readonly Feature Filters = new("seccomp_filters", FeatureCategory.Extra, ProbeFilters)
    {
        NeededFor = "saving the filters of a process", KnownToCriu = true, Since = "Linux 4.4 with CONFIG_CHECKPOINT_RESTORE",
        Privilege = "CAP_SYS_ADMIN",
    };

    public static readonly Feature Metadata = new("seccomp_metadata", FeatureCategory.Engine, ProbeMetadata)
    {
        NeededFor = "the flags of filters", Since = "Linux 4.16 with CONFIG_CHECKPOINT_RESTORE", Privilege = "CAP_SYS_ADMIN",
    };

    private static Answer ProbeSuspend(ProbeBench bench)
    {
        using ProbeChild child = Filtered(bench);
        if (child.Call(SyscallNumber.getppid) != -Errno.EPERM)
        {
            return Answer.No("a seccomp filter is installed and does not filter");
        }

        const int Options = Ptrace.PTRACE_O_EXITKILL | Ptrace.PTRACE_O_TRACESYSGOOD | Ptrace.PTRACE_O_SUSPEND_SECCOMP;
        long result = Ptrace.Request(Ptrace.PTRACE_SETOPTIONS, child.Pid, 0, Options);
        return Syscall.IsError(result)
            ? Answer.Of("ptrace(PTRACE_SETOPTIONS, PTRACE_O_SUSPEND_SECCOMP)", result)
            : Answer.Of("ptrace(PTRACE_SETOPTIONS, PTRACE_O_SUSPEND_SECCOMP)", child.Call(SyscallNumber.getppid) >= 0);
    }

    private static Answer ProbeFilters(ProbeBench bench)
    {
        using ProbeChild child = Filtered(bench);
        long length = Ptrace.Request(Ptrace.PTRACE_SECCOMP_GET_FILTER, child.Pid, 0, 0);
        return Syscall.IsError(length)
            ? Answer.Of("ptrace(PTRACE_SECCOMP_GET_FILTER)", length)
            : Answer.Of("ptrace(PTRACE_SECCOMP_GET_FILTER)", length == FilterLength);
    }

    private static Answer ProbeMetadata(ProbeBench bench)
    {
        using ProbeChild child = Filtered(bench);
        long result = Ptrace.SeccompMetadata(child.Pid, filter: 0, out ulong flags);
        return Syscall.IsError(result)
            ? Answer.Of("ptrace(PTRACE_SECCOMP_GET_METADATA)", result)
            : Answer.Of("ptrace(PTRACE_SECCOMP_GET_METADATA)", flags == 0);
    }

    // Lets everything pass but getppid, which nothing needs.
    private static ProbeChild Filtered(ProbeBench bench)
    {
        ProbeChild child = bench.Fresh();
        try
        {
            long program = child.Put(MemoryMarshal.AsBytes<sock_filter>(
            [
                new() { code = LoadWord },
                new() { code = JumpIfEqual, jf = 1, k = SyscallNumber.getppid },
                new() { code = Return, k = SECCOMP_RET_ERRNO | Errno.EPERM },
                new() { code = Return, k = SECCOMP_RET_ALLOW },
            ]));
            long filter = child.Put(new sock_fprog { len = FilterLength, filter = (ulong)program });
            child.Must("prctl(PR_SET_NO_NEW_PRIVS)", SyscallNumber.prctl, Prctl.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
            child.Must("prctl(PR_SET_SECCOMP)", SyscallNumber.prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter, 0, 0);
            return child;
        }
        catch
        {
            child.Dispose();
            throw;
        }
    }
}
