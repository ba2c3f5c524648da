using CriuPS.Engine.Compel;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Objects.Tasks;

/// <summary>
/// The signal that a task gets when its parent ends (task_struct.pdeath_signal). Told and set by prctl(2) in the task itself; changing credentials clears it,
/// so it is set after them (kernel/cred.c, commit_creds).
/// </summary>
internal sealed class ParentDeathSignal : ITaskState
{
    public Action? Ask(TaskDump dump, SyscallProgram program)
    {
        ulong answer = program.Reserve(sizeof(ulong));
        program.Add("prctl(PR_GET_PDEATHSIG)", SyscallNumber.prctl, Prctl.PR_GET_PDEATHSIG, answer);
        return () => dump.Core.ThreadCore.PdeathSig = (uint)program.Read<int>(answer);
    }

    public void Restore(TaskRestore restore)
    {
        if (restore.Core.ThreadCore.PdeathSig != 0)
        {
            restore.Batch.Add("prctl(PR_SET_PDEATHSIG)", SyscallNumber.prctl, Prctl.PR_SET_PDEATHSIG, (long)restore.Core.ThreadCore.PdeathSig);
        }
    }
}
