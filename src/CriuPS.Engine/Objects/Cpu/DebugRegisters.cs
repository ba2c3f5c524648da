using CriuPS.Engine.Compel;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Objects.Cpu;

/// <summary>
/// The breakpoints that a tracer has set in a task with the processor's debug registers (thread_struct.ptrace_bps); they stay when it detaches, and stop the task
/// with SIGTRAP. ptrace(2) reads and writes them (PTRACE_PEEKUSR, PTRACE_POKEUSR): four addresses, and the register that says what each is for.
/// </summary>
internal static class DebugRegisters
{
    private const int Addresses = 4, Control = 7;

    /// <summary>Notes the breakpoints of a task that has some.</summary>
    public static void Save(TaskDump dump)
    {
        ulong control = Ptrace.GetDebugRegister(dump.Task.Tid, Control);
        if (control != 0)
        {
            dump.Extra.DebugRegisters.AddRange(Enumerable.Range(0, Addresses).Select(number => Ptrace.GetDebugRegister(dump.Task.Tid, number)));
            dump.Extra.DebugRegisters.Add(control);
        }
    }

    /// <summary>Sets them, when no code of ours runs in the task any more.</summary>
    public static void Restore(Tracee task, CriupsThreadEntry? saved)
    {
        if (saved is not { DebugRegisters.Count: Addresses + 1 })
        {
            return;
        }

        for (int number = 0; number < Addresses; number++)
        {
            Ptrace.SetDebugRegister(task.Tid, number, saved.DebugRegisters[number]);
        }

        Ptrace.SetDebugRegister(task.Tid, Control, saved.DebugRegisters[Addresses]);
    }
}
