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
        foreach (SiginfoEntry entry in restore.Core.ThreadCore.SignalsP?.Signals ?? [])
        {
            SyscallProgram program = restore.Batch.Room(1, Ptrace.SiginfoSize);
            ulong info = program.Put(entry.Siginfo.Span);
            int signal = BitConverter.ToInt32(entry.Siginfo.Span);
            program.Add($"queueing of signal {signal}", SyscallNumber.rt_tgsigqueueinfo, restore.Pid, restore.Tid, signal, info);
        }

        if (!restore.IsLeader)
        {
            return;
        }

        foreach (SiginfoEntry entry in restore.Core.Tc.SignalsS?.Signals ?? [])
        {
            SyscallProgram program = restore.Batch.Room(1, Ptrace.SiginfoSize);
            ulong info = program.Put(entry.Siginfo.Span);
            int signal = BitConverter.ToInt32(entry.Siginfo.Span);
            program.Add($"queueing of signal {signal}", SyscallNumber.rt_sigqueueinfo, restore.Pid, signal, info);
        }
    }

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
