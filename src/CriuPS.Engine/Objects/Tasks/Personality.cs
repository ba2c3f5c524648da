using CriuPS.Engine.Compel;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Objects.Tasks;

/// <summary>
/// The execution domain and its flags (task_struct.personality, personality(2)), e.g. no address randomisation. /proc/PID/personality tells it; each thread
/// inherits it from the leader, and the leader sets it itself.
/// </summary>
internal sealed class Personality : ITaskState
{
    public Action? Ask(TaskDump dump, SyscallProgram program)
    {
        if (!dump.IsLeader)
        {
            return null;
        }

        Operation answer = program.Add("personality", SyscallNumber.personality, 0xffffffff);
        return () => dump.Core.Tc.Personality = (uint)program.Result(answer);
    }

    public void Restore(TaskRestore restore) =>
        restore.Batch.Add("personality", SyscallNumber.personality, (long)restore.LeaderCore.Tc.Personality);
}
