using System.Runtime.InteropServices;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Check;

/// <summary>Holding another task and reaching into it: ptrace(2), process_vm_readv(2), pidfd_getfd(2).</summary>
internal static class TracingFeatures
{
    private const int SIGUSR1 = 10, SI_QUEUE = -1;

    public static readonly Feature Seize = new("ptrace_seize", FeatureCategory.Engine, ProbeSeize)
    {
        NeededFor = "stopping a process without a trace, and making one that dies with its maker",
        Required = true, Since = "Linux 3.8", Privilege = "CAP_SYS_PTRACE",
    };

    public static readonly Feature Registers = new("ptrace_getregset", FeatureCategory.Engine, ProbeRegisters)
    {
        NeededFor = "the registers of tasks, floating point and vector units included", Required = true, Since = "Linux 2.6.34",
    };

    public static readonly Feature PeekSigInfo = new("peeksiginfo", FeatureCategory.Basic, ProbePeekSigInfo)
    {
        NeededFor = "pending signals and the signal mask", Required = true, Since = "Linux 3.11",
    };

    public static readonly Feature SigQueueInfo = new("sigqueueinfo", FeatureCategory.Basic, ProbeSigQueueInfo)
    {
        NeededFor = "making a pending signal again as it was", Since = "Linux 3.9",
    };

    public static readonly Feature RseqConfiguration = new("get_rseq_conf", FeatureCategory.Extra, ProbeRseqConfiguration)
    {
        NeededFor = "restartable sequences, which the C library registers in every program", Required = true, KnownToCriu = true,
        Since = "Linux 5.13 with CONFIG_RSEQ",
    };

    public static readonly Feature ProcessMemory = new("process_vm", FeatureCategory.Engine, ProbeProcessMemory)
    {
        NeededFor = "programs for a stopped task, and their answers", Required = true, Since = "Linux 3.2 with CONFIG_CROSS_MEMORY_ATTACH",
        Privilege = "CAP_SYS_PTRACE",
    };

    public static readonly Feature ProcMem = new("proc_mem", FeatureCategory.Engine, ProbeProcMem)
    {
        NeededFor = "memory that a process may not read itself", Required = true,
        Since = "a kernel whose parameter proc_mem.force_override is not 'never'", Privilege = "CAP_SYS_PTRACE",
    };

    public static readonly Feature PidFdStore = new("pidfd_store", FeatureCategory.Extra, ProbePidFdStore)
    {
        NeededFor = "borrowing the very open files of a process (pidfd_getfd)", Required = true, KnownToCriu = true, Since = "Linux 5.6",
        Privilege = "CAP_SYS_PTRACE",
    };

    private static Answer ProbeSeize(ProbeBench bench)
    {
        ProbeChild child = bench.Child;
        bool traced = ProcStatus.Read(child.Proc).TracerPid != 0;
        return Answer.Of("ptrace(PTRACE_SEIZE, PTRACE_O_EXITKILL)", traced);
    }

    private static Answer ProbeRegisters(ProbeBench bench)
    {
        Compel.TaskRegisters registers = bench.Child.Task.Save();
        return Answer.Yes(
            $"ptrace(PTRACE_GETREGSET): {registers.General.Length} bytes, and {registers.Extended.Length} of extended state");
    }

    private static Answer ProbePeekSigInfo(ProbeBench bench)
    {
        using ProbeChild child = bench.Fresh();
        Queue(child, SI_QUEUE);
        byte[] info = new byte[Ptrace.SiginfoSize];
        int count = Ptrace.PeekSigInfo(child.Pid, 0, shared: true, info);
        return Answer.Of("ptrace(PTRACE_PEEKSIGINFO, PTRACE_GETSIGMASK)", count == 1 && MemoryMarshal.Read<int>(info) == SIGUSR1
            && (Ptrace.GetSigMask(child.Pid) >> (SIGUSR1 - 1) & 1) == 1);
    }

    private static Answer ProbeSigQueueInfo(ProbeBench bench)
    {
        using ProbeChild child = bench.Fresh();
        return Answer.Of("rt_sigqueueinfo of a signal that the kernel could have sent", Queue(child, code: 1));
    }

    // Newborns have all signals blocked, so it stays pending. siginfo_t: si_signo, si_errno, si_code.
    private static long Queue(ProbeChild child, int code)
    {
        byte[] info = new byte[Ptrace.SiginfoSize];
        MemoryMarshal.Write(info, SIGUSR1);
        MemoryMarshal.Write(info.AsSpan(8), code);
        return child.Call(SyscallNumber.rt_sigqueueinfo, child.Pid, SIGUSR1, child.Put(info));
    }

    private static Answer ProbeRseqConfiguration(ProbeBench bench)
    {
        Ptrace.ptrace_rseq_configuration configuration = Ptrace.GetRseqConfiguration(bench.Child.Pid);
        return Answer.Of("ptrace(PTRACE_GET_RSEQ_CONFIGURATION)", configuration.flags == 0);
    }

    private static Answer ProbeProcessMemory(ProbeBench bench)
    {
        ProbeChild child = bench.Child;
        return Answer.Of("process_vm_readv, process_vm_writev", child.Read<ulong>(child.Put(0x5eed_5eedUL)) == 0x5eed_5eedUL);
    }

    private static Answer ProbeProcMem(ProbeBench bench)
    {
        using ProbeChild child = bench.Fresh();
        long page = child.Map(Memory.PageSize);
        child.Write(page, "unreadable"u8);
        child.Must("mprotect", SyscallNumber.mprotect, page, Memory.PageSize, Memory.PROT_NONE);
        using SafeFileHandle memory = child.Proc.Open("mem", OpenAt.O_RDONLY);
        byte[] found = new byte[10];
        long result = FileRead.ReadAt(memory, found, page);
        return result == found.Length
            ? Answer.Of("read of /proc/PID/mem", found.AsSpan().SequenceEqual("unreadable"u8))
            : Answer.Of("read of /proc/PID/mem", result);
    }

    private static Answer ProbePidFdStore(ProbeBench bench)
    {
        ProbeChild child = bench.Child;
        int fd = (int)child.Must("memfd_create", SyscallNumber.memfd_create, child.Put("probe"), 0);
        using SafeFileHandle pidfd = PidFd.Open(child.Pid);
        using SafeFileHandle borrowed = PidFd.GetFd(pidfd, fd);
        return Answer.Of(
            "pidfd_open, pidfd_getfd", Kcmp.SameFile(child.Pid, fd, Environment.ProcessId, (int)borrowed.DangerousGetHandle()));
    }
}
