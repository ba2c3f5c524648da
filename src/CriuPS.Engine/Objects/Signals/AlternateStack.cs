using CriuPS.Engine.Compel;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Objects.Signals;

/// <summary>
/// A thread's alternate signal stack (sigaltstack(2)); the kernel keeps address, size and flags in the task. Every program of the parasite reads it
/// anyway, because sigreturn sets it. It is set by the thread itself.
/// </summary>
internal sealed class AlternateStack : ITaskState
{
    /// <summary>Takes the stack that the parasite read.</summary>
    public static void Save(TaskDump dump, StackT stack) => dump.Core.ThreadCore.Sas = new ThreadSasEntry
    {
        SsSp = stack.ss_sp, SsSize = stack.ss_size, SsFlags = (uint)stack.ss_flags,
    };

    public void Restore(TaskRestore restore)
    {
        if (restore.Core.ThreadCore.Sas is not { } saved || (saved.SsFlags & StackT.SS_DISABLE) != 0)
        {
            return;
        }

        // "On it" is not a setting: it follows from the stack pointer.
        StackT stack = new() { ss_sp = saved.SsSp, ss_size = saved.SsSize, ss_flags = (int)saved.SsFlags & ~StackT.SS_ONSTACK };
        SyscallProgram program = restore.Batch.Room(1, StackT.Size);
        program.Add("sigaltstack", SyscallNumber.sigaltstack, program.Put(stack), 0);
    }
}
