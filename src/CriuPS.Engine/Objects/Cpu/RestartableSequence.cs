using CriuPS.Engine.Compel;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Objects.Cpu;

/// <summary>
/// The registration of restartable sequences of a thread (task_struct.rseq, rseq(2)); libc makes one for every thread. ptrace tells it
/// (PTRACE_GET_RSEQ_CONFIGURATION, since Linux 5.13). A thread inside a critical section must go to its abort handler, as after a preemption:
/// the kernel does it itself when the thread returns to user space, and clears the pointer, so both are read before anything else runs in it.
/// </summary>
internal sealed class RestartableSequence : ITaskState
{
    // struct rseq: cpu_id_start, cpu_id, then the pointer to the critical section (include/uapi/linux/rseq.h).
    private const ulong CriticalSectionOffset = 8;

    // struct rseq_cs: version, flags, start_ip, post_commit_offset, abort_ip.
    private const ulong StartOffset = 8, CommitOffset = 16, AbortOffset = 24;

    /// <summary>Reads the registration, and moves registers out of a critical section; before anything else runs in the task.</summary>
    public static void Save(TaskDump dump)
    {
        Ptrace.ptrace_rseq_configuration rseq = Ptrace.GetRseqConfiguration(dump.Task.Tid);
        if (rseq.rseq_abi_pointer == 0)
        {
            return;
        }

        dump.Core.ThreadCore.RseqEntry = new RseqEntry
        {
            RseqAbiPointer = rseq.rseq_abi_pointer, RseqAbiSize = rseq.rseq_abi_size, Signature = rseq.signature,
        };
        Abort(dump, rseq.rseq_abi_pointer);
    }

    public void Restore(TaskRestore restore)
    {
        if (restore.Core.ThreadCore.RseqEntry is { RseqAbiPointer: not 0 } rseq)
        {
            restore.Batch.Add("rseq", SyscallNumber.rseq, rseq.RseqAbiPointer, (long)rseq.RseqAbiSize, 0, (long)rseq.Signature);
        }
    }

    private static void Abort(TaskDump dump, ulong rseq)
    {
        ulong section = Ptrace.PeekData(dump.Task.Tid, rseq + CriticalSectionOffset);
        if (section == 0)
        {
            return;
        }

        ulong start = Ptrace.PeekData(dump.Task.Tid, section + StartOffset);
        ulong length = Ptrace.PeekData(dump.Task.Tid, section + CommitOffset);
        TaskRegisters original = dump.Task.Original!;
        if (dump.Task.Architecture.InstructionPointer(original.General) - start < length)
        {
            ulong abort = Ptrace.PeekData(dump.Task.Tid, section + AbortOffset);
            dump.Task.Architecture.SetInstructionPointer(original.General, abort);
        }
    }
}
