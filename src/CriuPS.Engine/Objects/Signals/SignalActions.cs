using System.Runtime.InteropServices;
using CriuPS.Engine.Compel;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Objects.Signals;

/// <summary>
/// The actions of a process for its signals. The kernel keeps one for each of 64 signals, shared by all threads (struct sighand_struct).
/// Read and set by rt_sigaction(2) in the process itself; SIGKILL and SIGSTOP have none. The trap at the end of each of our programs sets the action of
/// SIGTRAP to the default, because the signal is blocked then (kernel/signal.c, force_sig_info_to_task): that one comes after all programs.
/// </summary>
internal sealed class SignalActions : ITaskState
{
    private const int Size = 32;

    public Action? Ask(TaskDump dump, SyscallProgram program)
    {
        if (!dump.IsLeader)
        {
            return null;
        }

        ulong answers = program.Reserve(Kernel.Signals.Count * Size);
        foreach (int signal in Numbers())
        {
            program.Add("rt_sigaction", SyscallNumber.rt_sigaction, signal, 0, At(answers, signal), sizeof(ulong));
        }

        return () =>
        {
            foreach (int signal in Numbers())
            {
                KernelSigAction action = program.Read<KernelSigAction>(At(answers, signal));
                dump.Core.Tc.Sigactions.Add(new SaEntry
                {
                    Sigaction = action.sa_handler, Flags = action.sa_flags, Restorer = action.sa_restorer, Mask = action.sa_mask,
                    CompatSigaction = dump.Process.IsCompat,
                });
            }
        };
    }

    public void Restore(TaskRestore restore)
    {
        if (!restore.IsLeader || restore.IsCompat)
        {
            return;
        }

        int index = 0;
        foreach (int signal in Numbers())
        {
            SaEntry entry = restore.Core.Tc.Sigactions[index++];
            if (signal != Kernel.Signals.SIGTRAP && !IsDefault(entry))
            {
                SyscallProgram program = restore.Batch.Room(1, Size);
                program.Add($"rt_sigaction of signal {signal}", SyscallNumber.rt_sigaction, signal, program.Put(Action(entry)), 0, sizeof(ulong));
            }
        }

        if (restore.HasThreads)
        {
            // Before threads queue their signals: an action that ignores a signal takes away those that wait (kernel/signal.c, do_sigaction).
            restore.Batch.Run();
        }
    }

    /// <summary>Sets the action of SIGTRAP, when no program of ours runs any more.</summary>
    /// <param name="core">The image of the leader.</param>
    /// <param name="leader">The leader.</param>
    /// <param name="syscallAt">Where it can enter the kernel.</param>
    /// <param name="scratch">Memory in it that nobody needs.</param>
    public static void RestoreTrap(CoreEntry core, Tracee leader, ulong syscallAt, ulong scratch)
    {
        if (core.ThreadInfo.Gpregs.Mode == UserX86RegsMode.Compat)
        {
            return;
        }

        SaEntry entry = core.Tc.Sigactions[Numbers().TakeWhile(signal => signal != Kernel.Signals.SIGTRAP).Count()];
        if (!IsDefault(entry))
        {
            KernelSigAction action = Action(entry);
            ProcessVm.Write(leader.Pid, scratch, MemoryMarshal.AsBytes(new ReadOnlySpan<KernelSigAction>(in action)));
            long result = leader.RunSyscall(syscallAt, SyscallNumber.rt_sigaction, Kernel.Signals.SIGTRAP, scratch, 0, sizeof(ulong));
            Syscall.Check(result, "rt_sigaction of SIGTRAP");
        }
    }

    /// <summary>
    /// Gives the default back to all signals that a root was born with ignored, as its restorer ignores them: neither CLONE_CLEAR_SIGHAND nor exec does that
    /// (kernel/fork.c, copy_sighand). Its descendants are born with what it has.
    /// </summary>
    public static void ResetIgnored(RemoteBatch root)
    {
        using ProcDirectory proc = new(root.Task.Pid);
        ulong ignored = ProcStatus.Read(proc).IgnoredSignals;
        foreach (int signal in Numbers().Where(signal => (ignored & (1UL << (signal - 1))) != 0))
        {
            SyscallProgram program = root.Room(1, Size);
            program.Add($"rt_sigaction of signal {signal}", SyscallNumber.rt_sigaction, signal, program.Put(default(KernelSigAction)), 0, sizeof(ulong));
        }
    }

    /// <summary>Whether it is the action that a newborn has for every signal.</summary>
    public static bool IsDefault(SaEntry entry) => entry.Sigaction == 0 && entry.Flags == 0 && entry.Mask == 0;

    private static KernelSigAction Action(SaEntry entry) => new()
    {
        sa_handler = entry.Sigaction, sa_flags = entry.Flags, sa_restorer = entry.Restorer, sa_mask = entry.Mask,
    };

    private static ulong At(ulong answers, int signal) => answers + (ulong)((signal - 1) * Size);

    /// <summary>The signals that have an action, in the order of the image.</summary>
    public static IEnumerable<int> Numbers()
    {
        for (int signal = 1; signal <= Kernel.Signals.Count; signal++)
        {
            if (signal is not (Kernel.Signals.SIGKILL or Kernel.Signals.SIGSTOP))
            {
                yield return signal;
            }
        }
    }
}
