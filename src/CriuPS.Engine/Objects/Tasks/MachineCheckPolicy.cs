using CriuPS.Engine.Compel;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Objects.Tasks;

/// <summary>
/// When a thread is told of memory that broke: at once, or when it touches it (PF_MCE_EARLY). Told and set by prctl(PR_MCE_KILL_GET, PR_MCE_KILL) in
/// the thread itself, since Linux 2.6.32.
/// </summary>
internal sealed class MachineCheckPolicy : ITaskState
{
    public Action? Ask(TaskDump dump, SyscallProgram program)
    {
        Operation answer = program.Try("prctl(PR_MCE_KILL_GET)", SyscallNumber.prctl, Prctl.PR_MCE_KILL_GET, 0, 0, 0, 0);
        return () =>
        {
            if (program.Result(answer) is >= 0 and long policy)
            {
                dump.Extra.MachineCheck = (uint)policy;
            }
        };
    }

    public void Restore(TaskRestore restore)
    {
        if (restore.Extra is { HasMachineCheck: true } extra)
        {
            restore.Batch.Add("prctl(PR_MCE_KILL)", SyscallNumber.prctl, Prctl.PR_MCE_KILL, Prctl.PR_MCE_KILL_SET, (long)extra.MachineCheck, 0, 0);
        }
    }
}
