using CriuPS.Engine.Compel;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Objects.Tasks;

/// <summary>
/// The word that the kernel clears and wakes when a thread ends (task_struct.clear_child_tid). Told by prctl(PR_GET_TID_ADDRESS) in the thread itself (since
/// Linux 3.5, CONFIG_CHECKPOINT_RESTORE); set by set_tid_address(2).
/// </summary>
internal sealed class ClearTidAddress : ITaskState
{
    public Action? Ask(TaskDump dump, SyscallProgram program)
    {
        ulong answer = program.Reserve(sizeof(ulong));
        program.Add("prctl(PR_GET_TID_ADDRESS)", SyscallNumber.prctl, Prctl.PR_GET_TID_ADDRESS, answer);
        return () => dump.Core.ThreadInfo.ClearTidAddr = program.Read<ulong>(answer);
    }

    public void Restore(TaskRestore restore) =>
        restore.Batch.Add("set_tid_address", SyscallNumber.set_tid_address, restore.Core.ThreadInfo.ClearTidAddr);
}
