using CriuPS.Engine.Compel;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Objects.Tasks;

/// <summary>
/// Which memory barriers a process has registered for (mm_struct.membarrier_state). membarrier(2) tells the commands since Linux 6.3, and each is
/// registered again by its own command.
/// </summary>
internal sealed class MembarrierRegistration : ITaskState
{
    public const int MEMBARRIER_CMD_GET_REGISTRATIONS = 512;

    public Action? Ask(TaskDump dump, SyscallProgram program)
    {
        if (!dump.IsLeader)
        {
            return null;
        }

        Operation answer = program.Try("membarrier", SyscallNumber.membarrier, MEMBARRIER_CMD_GET_REGISTRATIONS, 0, 0);
        return () =>
        {
            long mask = program.Result(answer);
            if (mask > 0)
            {
                dump.Core.Tc.MembarrierRegistrationMask = (uint)mask;
            }
        };
    }

    public void Restore(TaskRestore restore)
    {
        if (!restore.IsLeader)
        {
            return;
        }

        for (uint mask = restore.Core.Tc.MembarrierRegistrationMask; mask != 0; mask &= mask - 1)
        {
            restore.Batch.Add("membarrier", SyscallNumber.membarrier, (long)(mask & ~(mask - 1)), 0, 0);
        }
    }
}
