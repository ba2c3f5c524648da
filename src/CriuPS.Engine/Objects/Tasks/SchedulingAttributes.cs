using CriuPS.Engine.Compel;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Objects.Tasks;

/// <summary>
/// What the scheduler knows of a thread beyond policy, priority and nice value (task_struct: sched_reset_on_fork, dl, se.slice, uclamp_req): flags, the times of
/// SCHED_DEADLINE, a time slice of its own, bounds of utilization. sched_getattr(2) tells them from outside, sched_setattr(2) sets them, both
/// since Linux 3.14. A newborn has ours.
/// </summary>
internal sealed class SchedulingAttributes : ITaskState
{
    public Action? Ask(TaskDump dump, SyscallProgram program)
    {
        SchedAttr.sched_attr attributes = SchedAttr.Of(dump.Task.Tid);
        dump.Extra.Sched = new CriupsSchedEntry
        {
            Policy = attributes.sched_policy, Flags = attributes.sched_flags, Nice = attributes.sched_nice, Priority = attributes.sched_priority,
            Runtime = attributes.sched_runtime, Deadline = attributes.sched_deadline, Period = attributes.sched_period,
            UtilMin = attributes.sched_util_min, UtilMax = attributes.sched_util_max,
        };
        return null;
    }

    public void Restore(TaskRestore restore)
    {
        if (restore.Extra?.Sched is not { } saved)
        {
            return;
        }

        SchedAttr.sched_attr present = restore.Inherited.Scheduling;
        bool clamps = saved.UtilMin != present.sched_util_min || saved.UtilMax != present.sched_util_max;
        bool slice = saved.Policy != SchedAttr.SCHED_DEADLINE && saved.Runtime != present.sched_runtime;
        if (saved.Policy != SchedAttr.SCHED_DEADLINE && saved.Flags == 0 && !clamps && !slice)
        {
            return;
        }

        SchedAttr.sched_attr wanted = new()
        {
            size = (uint)System.Runtime.CompilerServices.Unsafe.SizeOf<SchedAttr.sched_attr>(),
            sched_policy = saved.Policy, sched_flags = saved.Flags, sched_nice = saved.Nice, sched_priority = saved.Priority,
            sched_runtime = saved.Policy == SchedAttr.SCHED_DEADLINE || slice ? saved.Runtime : 0,
            sched_deadline = saved.Deadline, sched_period = saved.Period, sched_util_min = saved.UtilMin, sched_util_max = saved.UtilMax,
        };
        wanted.sched_flags |= clamps ? SchedAttr.SCHED_FLAG_UTIL_CLAMP_MIN | SchedAttr.SCHED_FLAG_UTIL_CLAMP_MAX : 0;
        SyscallProgram program = restore.Batch.Room(1, (int)wanted.size);
        program.Add("sched_setattr", SyscallNumber.sched_setattr, 0, program.Put(wanted), 0);
    }
}
