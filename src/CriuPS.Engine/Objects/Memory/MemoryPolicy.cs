using CriuPS.Engine.Compel;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Objects.Memory;

/// <summary>
/// From which memory nodes a thread gets its memory (task_struct.mempolicy, numa(7)). Told and set by get_mempolicy(2) and set_mempolicy(2) in the
/// thread itself; kernels without CONFIG_NUMA have neither.
/// </summary>
internal sealed class MemoryPolicy : ITaskState
{
    public Action? Ask(TaskDump dump, SyscallProgram program)
    {
        PolicyQuestion question = PolicyQuestion.Add(program, PolicyQuestion.LongestMask);
        return () =>
        {
            if (question.Answer(program) is { } answer)
            {
                (dump.Extra.MemoryPolicy, dump.Extra.MemoryNodes) = answer;
            }
        };
    }

    public void Restore(TaskRestore restore)
    {
        if (restore.Extra is not { HasMemoryPolicy: true } extra)
        {
            return;
        }

        SyscallProgram program = restore.Batch.Room(1, PolicyQuestion.LongestMask);
        if (extra.MemoryPolicy == PolicyQuestion.MPOL_DEFAULT)
        {
            program.Try("set_mempolicy", SyscallNumber.set_mempolicy, PolicyQuestion.MPOL_DEFAULT, 0, 0);
            return;
        }

        ulong nodes = PolicyQuestion.Put(program, extra.MemoryNodes);
        program.Add($"set_mempolicy({extra.MemoryPolicy})", SyscallNumber.set_mempolicy, (long)extra.MemoryPolicy, nodes, PolicyQuestion.MostNodes);
    }
}
