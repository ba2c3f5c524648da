using System.Runtime.InteropServices;
using CriuPS.Engine.Compel;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Objects.Timers;

/// <summary>
/// The three interval timers of a process (real, virtual, profiling; struct signal_struct). Read by getitimer(2) and set by setitimer(2) in the process
/// itself: what is left at the moment of the dump is left at the moment of the restore, and of the real timer, if its signal waits, a whole interval.
/// </summary>
internal sealed class IntervalTimers : ITaskState
{
    /// <summary>struct __kernel_old_itimerval: interval, then what is left.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct ITimerVal
    {
        public long interval_sec;
        public long interval_usec;
        public long value_sec;
        public long value_usec;
    }

    private const int Kinds = 3, Size = 32;

    public Action? Ask(TaskDump dump, SyscallProgram program)
    {
        if (!dump.IsLeader)
        {
            return null;
        }

        ulong answers = program.Reserve(Kinds * Size);
        for (int kind = 0; kind < Kinds; kind++)
        {
            program.Add("getitimer", SyscallNumber.getitimer, kind, answers + (ulong)(kind * Size));
        }

        return () =>
        {
            TaskTimersEntry timers = dump.Core.Tc.Timers ??= new TaskTimersEntry();
            timers.Real = Entry(program.Read<ITimerVal>(answers));
            timers.Virt = Entry(program.Read<ITimerVal>(answers + Size));
            timers.Prof = Entry(program.Read<ITimerVal>(answers + 2 * Size));
        };
    }

    public void Restore(TaskRestore restore)
    {
        if (!restore.IsLeader || restore.Core.Tc.Timers is not { } timers)
        {
            return;
        }

        Set(restore.Batch, 0, Running(timers.Real));
        Set(restore.Batch, 1, timers.Virt);
        Set(restore.Batch, 2, timers.Prof);
    }

    // The real timer does not start again before its signal is taken (posixtimer_rearm_itimer of kernel/time/itimer.c). While that waits nothing is left,
    // which would stop a timer that is set to it. A stopped one has no interval; those of processor time keep theirs.
    private static ItimerEntry Running(ItimerEntry real) =>
        real is { Vsec: 0, Vusec: 0 } ? new ItimerEntry { Isec = real.Isec, Iusec = real.Iusec, Vsec = real.Isec, Vusec = real.Iusec } : real;

    private static void Set(RemoteBatch batch, int kind, ItimerEntry entry)
    {
        if (entry is { Vsec: 0, Vusec: 0 })
        {
            return;
        }

        SyscallProgram program = batch.Room(1, Size);
        ulong value = program.Put(new ITimerVal
        {
            interval_sec = (long)entry.Isec, interval_usec = (long)entry.Iusec, value_sec = (long)entry.Vsec, value_usec = (long)entry.Vusec,
        });
        program.Add("setitimer", SyscallNumber.setitimer, kind, value, 0);
    }

    private static ItimerEntry Entry(ITimerVal value) => new()
    {
        Isec = (ulong)value.interval_sec, Iusec = (ulong)value.interval_usec, Vsec = (ulong)value.value_sec, Vusec = (ulong)value.value_usec,
    };
}
