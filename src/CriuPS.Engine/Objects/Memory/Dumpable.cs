using CriuPS.Engine.Compel;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Objects.Memory;

/// <summary>
/// Whether a process may be dumped by the kernel and traced by its own user (mm_struct flags, prctl(PR_GET_DUMPABLE)). A change of credentials resets it,
/// so it is set after them. 2 (only root may read the core) cannot be set: it becomes 0 where it is not there already.
/// </summary>
internal sealed class Dumpable : ITaskState
{
    private const int SuidDumpRoot = 2;

    public Action? Ask(TaskDump dump, SyscallProgram program)
    {
        if (!dump.IsLeader)
        {
            return null;
        }

        Operation answer = program.Add("prctl(PR_GET_DUMPABLE)", SyscallNumber.prctl, Prctl.PR_GET_DUMPABLE);
        return () => dump.Process.Mm.Dumpable = (int)program.Result(answer);
    }

    public void Restore(TaskRestore restore)
    {
        if (restore.IsLeader && restore.Mm.HasDumpable)
        {
            int wanted = restore.Mm.Dumpable == SuidDumpRoot ? 0 : restore.Mm.Dumpable;
            restore.Batch.Add("prctl(PR_SET_DUMPABLE)", SyscallNumber.prctl, Prctl.PR_SET_DUMPABLE, wanted);
        }
    }
}
