using CriuPS.Engine.Compel;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Objects.Tasks;

/// <summary>Whether orphans below a process become its children (signal_struct.is_child_subreaper); prctl(2) in the process itself.</summary>
internal sealed class ChildSubreaper : ITaskState
{
    public Action? Ask(TaskDump dump, SyscallProgram program)
    {
        if (!dump.IsLeader)
        {
            return null;
        }

        ulong answer = program.Reserve(sizeof(ulong));
        program.Add("prctl(PR_GET_CHILD_SUBREAPER)", SyscallNumber.prctl, Prctl.PR_GET_CHILD_SUBREAPER, answer);
        return () => dump.Core.Tc.ChildSubreaper = program.Read<int>(answer) != 0;
    }

    public void Restore(TaskRestore restore)
    {
        if (restore.IsLeader && restore.Core.Tc.ChildSubreaper)
        {
            restore.Batch.Add("prctl(PR_SET_CHILD_SUBREAPER)", SyscallNumber.prctl, Prctl.PR_SET_CHILD_SUBREAPER, 1);
        }
    }
}
