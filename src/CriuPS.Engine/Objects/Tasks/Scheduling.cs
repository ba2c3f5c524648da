using CriuPS.Engine.Compel;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Objects.Tasks;

/// <summary>
/// Policy, real-time priority and nice value of a thread (sched(7)). The thread itself tells them by sched_getscheduler(2), sched_getparam(2) and
/// getpriority(2) and sets them again before it loses the privilege to.
/// </summary>
internal sealed class Scheduling : ITaskState
{
    private const int PRIO_PROCESS = 0;

    // getpriority's system call returns 20 - nice, so that it is never negative.
    private const int NiceBase = 20;

    public Action? Ask(TaskDump dump, SyscallProgram program)
    {
        Operation policy = program.Add("sched_getscheduler", SyscallNumber.sched_getscheduler, 0);
        ulong parameter = program.Reserve(sizeof(ulong));
        program.Add("sched_getparam", SyscallNumber.sched_getparam, 0, parameter);
        Operation nice = program.Add("getpriority", SyscallNumber.getpriority, PRIO_PROCESS, 0);
        return () =>
        {
            ThreadCoreEntry core = dump.Core.ThreadCore;
            core.SchedPolicy = (uint)program.Result(policy);
            core.SchedNice = NiceBase - (int)program.Result(nice);
            core.SchedPrio = (uint)program.Read<int>(parameter);
        };
    }

    public void Restore(TaskRestore restore)
    {
        ThreadCoreEntry core = restore.Core.ThreadCore;
        if (core.HasSchedNice)
        {
            restore.Batch.Add("setpriority", SyscallNumber.setpriority, PRIO_PROCESS, 0, core.SchedNice);
        }

        // The times of SCHED_DEADLINE are among the attributes; without them it cannot be set.
        if (core.HasSchedPolicy && core.SchedPolicy != 0 && restore.Extra?.Sched is not { Policy: SchedAttr.SCHED_DEADLINE })
        {
            SyscallProgram program = restore.Batch.Room(1, sizeof(int));
            ulong parameter = program.Put((int)core.SchedPrio);
            program.Add("sched_setscheduler", SyscallNumber.sched_setscheduler, 0, (long)core.SchedPolicy, parameter);
        }
    }
}
