using CriuPS.Engine.Compel;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Objects.Tasks;

/// <summary>
/// The head of the list of robust futexes that a thread may die with (task_struct.robust_list). Read by get_robust_list(2) and set by
/// set_robust_list(2), both in the thread itself. Those of 32-bit programs are another matter (<see cref="Cpu.CompatTask"/>).
/// </summary>
internal sealed class RobustFutexList : ITaskState
{
    public Action? Ask(TaskDump dump, SyscallProgram program)
    {
        if (dump.Process.IsCompat)
        {
            return null;
        }

        ulong head = program.Reserve(sizeof(ulong)), length = program.Reserve(sizeof(ulong));
        program.Add("get_robust_list", SyscallNumber.get_robust_list, 0, head, length);
        return () =>
        {
            dump.Core.ThreadCore.FutexRla = program.Read<ulong>(head);
            dump.Core.ThreadCore.FutexRlaLen = (uint)program.Read<ulong>(length);
        };
    }

    public void Restore(TaskRestore restore)
    {
        ThreadCoreEntry saved = restore.Core.ThreadCore;
        if (saved.FutexRla != 0 && !restore.IsCompat)
        {
            restore.Batch.Add("set_robust_list", SyscallNumber.set_robust_list, saved.FutexRla, (long)saved.FutexRlaLen);
        }
    }
}
