using CriuPS.Engine.Compel;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Objects.Memory;

/// <summary>
/// Whether equal pages of a process may be merged everywhere (MMF_VM_MERGE_ANY), by prctl(PR_GET_MEMORY_MERGE, PR_SET_MEMORY_MERGE) since Linux 6.4;
/// turning it on needs CAP_SYS_RESOURCE.
/// </summary>
internal sealed class MemoryMerging : ITaskState
{
    public Action? Ask(TaskDump dump, SyscallProgram program)
    {
        if (!dump.IsLeader)
        {
            return null;
        }

        Operation answer = program.Try("prctl(PR_GET_MEMORY_MERGE)", SyscallNumber.prctl, Prctl.PR_GET_MEMORY_MERGE, 0, 0, 0, 0);
        return () =>
        {
            if (program.Result(answer) == 1)
            {
                dump.Process.Extra.MemoryMerge = true;
            }
        };
    }

    public void Restore(TaskRestore restore)
    {
        if (restore is { IsLeader: true, ProcessExtra.MemoryMerge: true })
        {
            restore.Batch.Add("prctl(PR_SET_MEMORY_MERGE)", SyscallNumber.prctl, Prctl.PR_SET_MEMORY_MERGE, 1, 0, 0, 0);
        }
    }
}
