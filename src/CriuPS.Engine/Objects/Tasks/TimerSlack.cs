using CriuPS.Engine.Compel;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Objects.Tasks;

/// <summary>
/// By how much the timers of a thread may be late so that they expire together (task_struct.timer_slack_ns). Told and set by prctl(2) in the thread
/// itself, PR_GET_TIMERSLACK and PR_SET_TIMERSLACK, since Linux 2.6.28.
/// </summary>
internal sealed class TimerSlack : ITaskState
{
    public Action? Ask(TaskDump dump, SyscallProgram program)
    {
        Operation answer = program.Add("prctl(PR_GET_TIMERSLACK)", SyscallNumber.prctl, Prctl.PR_GET_TIMERSLACK, 0, 0, 0, 0);
        return () => dump.Extra.TimerSlack = (ulong)program.Result(answer);
    }

    public void Restore(TaskRestore restore)
    {
        // Zero would mean "the default"; threads of real-time policies have it, and have no use for another.
        if (restore.Extra is { TimerSlack: not 0 and ulong slack })
        {
            restore.Batch.Add("prctl(PR_SET_TIMERSLACK)", SyscallNumber.prctl, Prctl.PR_SET_TIMERSLACK, slack, 0, 0, 0);
        }
    }
}
