using CriuPS.Engine.Compel;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using Google.Protobuf;

namespace CriuPS.Engine.Objects.Signals;

/// <summary>
/// Signals that wait to be delivered: a queue for each thread and one for the process (struct sigpending). ptrace copies them out with
/// their full siginfo (PTRACE_PEEKSIGINFO); rt_sigqueueinfo(2) and rt_tgsigqueueinfo(2) queue them again, in their order.
/// </summary>
internal sealed class PendingSignals : ITaskState
{
    private const int Batch = 32;

    public Action? Ask(TaskDump dump, SyscallProgram program)
    {
        dump.Core.ThreadCore.SignalsP = Peek(dump.Task.Tid, shared: false);
        if (dump.IsLeader)
        {
            dump.Core.Tc.SignalsS = Peek(dump.Task.Tid, shared: true);
        }

        return null;
    }

    public void Restore(TaskRestore restore)
    {
        foreach ((int signal, SiginfoEntry entry, bool shared) in Saved(restore).Where(s => s.Signal != Kernel.Signals.SIGTRAP))
        {
            SyscallProgram program = restore.Batch.Room(1, Ptrace.SiginfoSize);
            ulong info = program.Put(entry.Siginfo.Span);
            if (shared)
            {
                program.Add($"queueing of signal {signal}", SyscallNumber.rt_sigqueueinfo, restore.Pid, signal, info);
            }
            else
            {
                program.Add($"queueing of signal {signal}", SyscallNumber.rt_tgsigqueueinfo, restore.Pid, restore.Tid, signal, info);
            }
        }
    }

    /// <summary>
    /// Queues SIGTRAP when no program of ours runs any more: the trap at the end of a program takes the signal out of the mask
    /// (kernel/signal.c, force_sig_info_to_task), and then it would not wait.
    /// </summary>
    /// <param name="restore">The task's image.</param>
    /// <param name="task">The task.</param>
    /// <param name="syscallAt">Where it can enter the kernel.</param>
    /// <param name="scratch">Memory in it that nobody needs.</param>
    public static void RestoreTrap(TaskRestore restore, Tracee task, ulong syscallAt, ulong scratch)
    {
        foreach ((int signal, SiginfoEntry entry, bool shared) in Saved(restore).Where(s => s.Signal == Kernel.Signals.SIGTRAP))
        {
            ProcessVm.Write(task.Pid, scratch, entry.Siginfo.Span);
            task.BlockSignals();
            long result = shared
                ? task.RunSyscall(syscallAt, SyscallNumber.rt_sigqueueinfo, (ulong)restore.Pid, (ulong)signal, scratch)
                : task.RunSyscall(syscallAt, SyscallNumber.rt_tgsigqueueinfo, (ulong)restore.Pid, (ulong)restore.Tid, (ulong)signal, scratch);
            Syscall.Check(result, "queueing of SIGTRAP");
        }
    }

    private static IEnumerable<(int Signal, SiginfoEntry Entry, bool Shared)> Saved(TaskRestore restore)
    {
        if (restore.Core.ThreadCore.SignalsP is not { Signals.Count: > 0 } && !(restore.IsLeader && restore.Core.Tc.SignalsS is { Signals.Count: > 0 }))
        {
            return [];
        }

        IEnumerable<SiginfoEntry> own = restore.Core.ThreadCore.SignalsP?.Signals ?? [], shared = restore.IsLeader ? restore.Core.Tc.SignalsS?.Signals ?? [] : [];
        return [.. own.Select(entry => (SignalOf(entry), entry, false)), .. shared.Select(entry => (SignalOf(entry), entry, true))];
    }

    private static int SignalOf(SiginfoEntry entry) => BitConverter.ToInt32(entry.Siginfo.Span);

    private static SignalQueueEntry Peek(int tid, bool shared)
    {
        SignalQueueEntry queue = new();
        Span<byte> infos = stackalloc byte[Batch * Ptrace.SiginfoSize];
        for (ulong offset = 0; ;)
        {
            int count = Ptrace.PeekSigInfo(tid, offset, shared, infos);
            for (int i = 0; i < count; i++)
            {
                queue.Signals.Add(new SiginfoEntry
                {
                    Siginfo = ByteString.CopyFrom(infos.Slice(i * Ptrace.SiginfoSize, Ptrace.SiginfoSize)),
                });
            }

            if (count < Batch)
            {
                return queue;
            }

            offset += (ulong)count;
        }
    }
}
