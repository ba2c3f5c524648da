using CriuPS.Engine.Compel;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Objects.Cpu;

/// <summary>
/// Which kinds of speculation a thread does without (task_struct.atomic_flags: store bypass, indirect branches, cache flush). Told and set by prctl(2) in the
/// thread itself, PR_GET_SPECULATION_CTRL and PR_SET_SPECULATION_CTRL, since Linux 4.17. What the machine decides for all cannot be set; a
/// newborn has ours.
/// </summary>
internal sealed class SpeculationControl : ITaskState
{
    private const int Kinds = 3;

    /// <summary>What the calling thread has of each kind, or the error.</summary>
    public static long[] OfCaller() =>
        [.. Enumerable.Range(0, Kinds).Select(kind => Syscall.Invoke(SyscallNumber.prctl, Prctl.PR_GET_SPECULATION_CTRL, kind))];

    public Action? Ask(TaskDump dump, SyscallProgram program)
    {
        Operation[] answers = new Operation[Kinds];
        for (int kind = 0; kind < Kinds; kind++)
        {
            answers[kind] = program.Try("prctl(PR_GET_SPECULATION_CTRL)", SyscallNumber.prctl, Prctl.PR_GET_SPECULATION_CTRL, kind, 0, 0, 0);
        }

        return () => dump.Extra.Speculation.AddRange(answers.Select(answer => (uint)Math.Max(0, program.Result(answer))));
    }

    public void Restore(TaskRestore restore)
    {
        for (int kind = 0; kind < Math.Min(Kinds, restore.Extra?.Speculation.Count ?? 0); kind++)
        {
            uint wanted = restore.Extra!.Speculation[kind];
            if ((wanted & Prctl.PR_SPEC_PRCTL) != 0 && wanted != restore.Inherited.Speculation[kind])
            {
                restore.Batch.Add(
                    $"prctl(PR_SET_SPECULATION_CTRL, {kind}, 0x{wanted:x})", SyscallNumber.prctl, Prctl.PR_SET_SPECULATION_CTRL, kind,
                    (long)(wanted & ~(uint)Prctl.PR_SPEC_PRCTL), 0, 0);
            }
        }
    }
}
