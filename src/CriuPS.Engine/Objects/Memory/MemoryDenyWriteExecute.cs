using CriuPS.Engine.Compel;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Objects.Memory;

/// <summary>
/// Whether a process has forsworn memory that is writable and executable (MMF_HAS_MDWE, prctl(PR_SET_MDWE), since Linux 6.3). It cannot be taken
/// back, so it comes when all memory is there.
/// </summary>
internal sealed class MemoryDenyWriteExecute : ITaskState
{
    public Action? Ask(TaskDump dump, SyscallProgram program)
    {
        if (!dump.IsLeader)
        {
            return null;
        }

        Operation answer = program.Try("prctl(PR_GET_MDWE)", SyscallNumber.prctl, Prctl.PR_GET_MDWE, 0, 0, 0, 0);
        return () =>
        {
            if (program.Result(answer) is > 0 and long bits)
            {
                dump.Process.Extra.WriteOrExecute = (uint)bits;
            }
        };
    }

    public void Restore(TaskRestore restore)
    {
        if (restore is { IsLeader: true, ProcessExtra: { HasWriteOrExecute: true } extra })
        {
            restore.Batch.Add("prctl(PR_SET_MDWE)", SyscallNumber.prctl, Prctl.PR_SET_MDWE, (long)extra.WriteOrExecute, 0, 0, 0);
        }
    }
}
