using CriuPS.Engine.Compel;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Objects.Memory;

/// <summary>Whether a process has turned transparent huge pages off (MMF_DISABLE_THP), by prctl(PR_GET_THP_DISABLE, PR_SET_THP_DISABLE).</summary>
internal sealed class TransparentHugePages : ITaskState
{
    public Action? Ask(TaskDump dump, SyscallProgram program)
    {
        if (!dump.IsLeader)
        {
            return null;
        }

        Operation answer = program.Add("prctl(PR_GET_THP_DISABLE)", SyscallNumber.prctl, Prctl.PR_GET_THP_DISABLE, 0, 0, 0, 0);
        return () =>
        {
            if (program.Result(answer) != 0)
            {
                dump.Process.Mm.ThpDisabled = true;
            }
        };
    }

    public void Restore(TaskRestore restore)
    {
        if (restore.IsLeader && restore.Mm.ThpDisabled)
        {
            restore.Batch.Add("prctl(PR_SET_THP_DISABLE)", SyscallNumber.prctl, Prctl.PR_SET_THP_DISABLE, 1, 0, 0, 0);
        }
    }
}
