using System.Runtime.InteropServices;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Check;

/// <summary>What the kernel keeps of a task, told by /proc or by calls that few programs know.</summary>
internal static class TaskFeatures
{
    private const int MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED = 1 << 4, MEMBARRIER_CMD_GET_REGISTRATIONS = 1 << 9;
    private const int SIGEV_NONE = 1, SigeventSize = 64, ChosenTimer = 77, RobustListSize = 24;

    public static readonly Feature ProcStatLine = new("proc_stat", FeatureCategory.Basic, ProbeProcStat)
    {
        NeededFor = "the borders of memory and the times of a process", Required = true, Since = "Linux 3.5 with CONFIG_CHECKPOINT_RESTORE",
        Privilege = "CAP_SYS_PTRACE",
    };

    public static readonly Feature TidAddress = new("get_tid_address", FeatureCategory.Basic, ProbeTidAddress)
    {
        NeededFor = "where a thread's end is told to who joins it", Required = true, Since = "Linux 3.5 with CONFIG_CHECKPOINT_RESTORE",
    };

    public static readonly Feature RobustList = new("robust_list", FeatureCategory.Engine, ProbeRobustList)
    {
        NeededFor = "locks that outlive the thread that holds them", Required = true, Since = "Linux 2.6.17 with CONFIG_FUTEX",
    };

    public static readonly Feature Membarrier = new("membarrier_registrations", FeatureCategory.Engine, ProbeMembarrier)
    {
        NeededFor = "programs that registered for membarrier", Since = "Linux 6.3",
    };

    public static readonly Feature ProcTimers = new("posix_timers", FeatureCategory.Extra, ProbeProcTimers)
    {
        NeededFor = "POSIX timers (timer_create)", Since = "Linux 3.10 with CONFIG_CHECKPOINT_RESTORE",
    };

    public static readonly Feature TimerIds = new("timer_cr_ids", FeatureCategory.Extra, ProbeTimerIds)
    {
        NeededFor = "POSIX timers with their old ids", KnownToCriu = true, Since = "Linux 6.15",
    };

    public static readonly Feature Children = new("children", FeatureCategory.Engine, ProbeChildren)
    {
        NeededFor = "finding the descendants of a process", Required = true, Since = "Linux 4.2 with CONFIG_PROC_CHILDREN",
    };

    public static readonly Feature NamespacePids = new("ns_pid", FeatureCategory.Extra, ProbeNamespacePids)
    {
        NeededFor = "processes in pid namespaces", KnownToCriu = true, Since = "Linux 4.1",
    };

    private static Answer ProbeProcStat(ProbeBench bench)
    {
        ProbeChild child = bench.Child;
        ProcStat stat = ProcStat.Read(child.Proc);
        return Answer.Of("/proc/PID/stat", stat.Pid == child.Pid && stat.StartCode != 0 && stat.StartStack != 0 && stat.ArgStart != 0);
    }

    private static Answer ProbeTidAddress(ProbeBench bench)
    {
        ProbeChild child = bench.Child;
        long word = child.Room(sizeof(int)), answer = child.Room(sizeof(ulong));
        child.Must("set_tid_address", SyscallNumber.set_tid_address, word);
        long result = child.Call(SyscallNumber.prctl, Prctl.PR_GET_TID_ADDRESS, answer, 0, 0, 0);
        child.Must("set_tid_address", SyscallNumber.set_tid_address, 0);
        return Syscall.IsError(result)
            ? Answer.Of("prctl(PR_GET_TID_ADDRESS)", result)
            : Answer.Of("prctl(PR_GET_TID_ADDRESS)", child.Read<long>(answer) == word);
    }

    private static Answer ProbeRobustList(ProbeBench bench)
    {
        using ProbeChild child = bench.Fresh();
        long head = child.Room(RobustListSize), answer = child.Room(2 * sizeof(ulong));
        child.Must("set_robust_list", SyscallNumber.set_robust_list, head, RobustListSize);
        long result = child.Call(SyscallNumber.get_robust_list, 0, answer, answer + sizeof(ulong));
        return Syscall.IsError(result)
            ? Answer.Of("get_robust_list", result)
            : Answer.Of("get_robust_list", child.Read<long>(answer) == head && child.Read<long>(answer + sizeof(ulong)) == RobustListSize);
    }

    private static Answer ProbeMembarrier(ProbeBench bench)
    {
        using ProbeChild child = bench.Fresh();
        child.Must("membarrier", SyscallNumber.membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
        long result = child.Call(SyscallNumber.membarrier, MEMBARRIER_CMD_GET_REGISTRATIONS, 0, 0);
        return Syscall.IsError(result)
            ? Answer.Of("membarrier(MEMBARRIER_CMD_GET_REGISTRATIONS)", result)
            : Answer.Of("membarrier(MEMBARRIER_CMD_GET_REGISTRATIONS)", result == MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
    }

    private static Answer ProbeProcTimers(ProbeBench bench)
    {
        using ProbeChild child = bench.Fresh();
        int id = MakeTimer(child, id: 0);
        return Answer.Of("/proc/PID/timers", PosixTimer.Read(child.Proc).Any(timer => timer.Id == id && timer.Notify == TimerNotify.None));
    }

    private static Answer ProbeTimerIds(ProbeBench bench)
    {
        using ProbeChild child = bench.Fresh();
        long result = child.Call(SyscallNumber.prctl, Prctl.PR_TIMER_CREATE_RESTORE_IDS, Prctl.PR_TIMER_CREATE_RESTORE_IDS_ON, 0, 0, 0);
        return Syscall.IsError(result)
            ? Answer.Of("prctl(PR_TIMER_CREATE_RESTORE_IDS)", result)
            : Answer.Of("prctl(PR_TIMER_CREATE_RESTORE_IDS)", MakeTimer(child, ChosenTimer) == ChosenTimer);
    }

    // struct sigevent: the value (8 bytes), the signal, how to tell.
    private static int MakeTimer(ProbeChild child, int id)
    {
        byte[] sigevent = new byte[SigeventSize];
        MemoryMarshal.Write(sigevent.AsSpan(12), SIGEV_NONE);
        long number = child.Put(id);
        child.Must("timer_create", SyscallNumber.timer_create, Nap.CLOCK_MONOTONIC, child.Put(sigevent), number);
        return child.Read<int>(number);
    }

    private static Answer ProbeChildren(ProbeBench bench)
    {
        using ProcDirectory own = new(Environment.ProcessId);
        return Answer.Of("/proc/PID/task/TID/children", ProcTasks.ListChildren(own).Contains(bench.Child.Pid));
    }

    private static Answer ProbeNamespacePids(ProbeBench bench)
    {
        ProbeChild child = bench.Child;
        return Answer.Of("NSpid of /proc/PID/status", ProcStatus.Read(child.Proc).NamespaceTids.Contains(child.Pid));
    }
}
