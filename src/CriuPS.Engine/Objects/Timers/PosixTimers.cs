using CriuPS.Engine.Compel;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Objects.Timers;

/// <summary>
/// The POSIX timers of a process (timer_create(2), signal_struct.posix_timers). /proc/PID/timers tells what they are, timer_gettime(2) and
/// timer_getoverrun(2) in the process what time is left and how many expirations the last signal stood for. They get their old numbers by
/// PR_TIMER_CREATE_RESTORE_IDS (since Linux 6.15); older kernels count up in each process, so there numbers that are free now are used up.
/// <see cref="PosixTimerStart"/> starts them last of all.
/// </summary>
internal sealed class PosixTimers : ITaskState
{
    private const int SpecSize = 32, EventSize = 64, InfoSize = 128;
    private const int RoomForOne = 2 * SyscallProgram.OperationSize + SpecSize;

    /// <summary>On kernels where numbers cannot be chosen, one above this would cost too many calls.</summary>
    private const uint LargestCounted = 1 << 20;

    /// <summary>Whether the numbers of timers can be chosen.</summary>
    private readonly Lazy<bool> _canChoose = new(PosixTimerCalls.CanChooseIds);

    /// <summary>Why the timers of a process cannot be dumped; null where they can.</summary>
    public static (string Subject, string Reason, string Remedy)? Objection(ProcDirectory proc)
    {
        foreach (PosixTimer timer in PosixTimer.Read(proc))
        {
            // kernel/time/posix-cpu-timers.c: the timer belongs to the thread that made it, and nothing tells which one that was.
            if (timer.ClockId == PosixTimerCalls.CLOCK_THREAD_CPUTIME_ID && proc.ListNumbers("task").Skip(1).Any())
            {
                return ($"timer {timer.Id}", "it runs on the processor time of one thread, and the kernel does not tell of which",
                    "let the program make it with the clock that pthread_getcpuclockid names");
            }
        }

        return null;
    }

    public int Room(TaskDump dump) => dump.IsLeader ? dump.Process.Timers.Count * RoomForOne : 0;

    public Action? Ask(TaskDump dump, SyscallProgram program)
    {
        if (!dump.IsLeader || dump.Process.Timers.Count == 0)
        {
            return null;
        }

        List<(PosixTimer Timer, ulong Spec, Operation Overrun)> asked = [];
        foreach (PosixTimer timer in dump.Process.Timers.OrderBy(timer => timer.Id))
        {
            ulong spec = program.Reserve(SpecSize);
            program.Add($"timer_gettime of timer {timer.Id}", SyscallNumber.timer_gettime, timer.Id, spec);
            asked.Add((timer, spec, program.Add($"timer_getoverrun of timer {timer.Id}", SyscallNumber.timer_getoverrun, timer.Id)));
        }

        return () =>
        {
            TaskTimersEntry timers = dump.Core.Tc.Timers ??= new TaskTimersEntry();
            timers.Posix.AddRange(asked.Select(a => Entry(a.Timer, program.Read<PosixTimerCalls.itimerspec>(a.Spec), (uint)program.Result(a.Overrun))));
        };
    }

    /// <summary>Makes the timers, and brings the overruns of their last signals back, before other signals are queued.</summary>
    public void Restore(TaskRestore restore)
    {
        if (restore.LeaderCore.Tc.Timers is not { Posix.Count: > 0 } timers)
        {
            return;
        }

        if (restore.IsLeader)
        {
            Create(restore.Batch, [.. timers.Posix.OrderBy(timer => timer.ItId)]);
        }

        foreach (PosixTimerEntry timer in timers.Posix.Where(timer => HasOverruns(timer) && Waiter(timer, restore) == restore.Tid))
        {
            StartWithOverruns(restore.Batch, timer);
        }
    }

    /// <summary>Whether a timer's last signal stood for more than one expiration, and can be had again.</summary>
    internal static bool HasOverruns(PosixTimerEntry timer)
    {
        bool readable = (int)timer.ClockId is PosixTimerCalls.CLOCK_REALTIME or PosixTimerCalls.CLOCK_MONOTONIC or PosixTimerCalls.CLOCK_BOOTTIME
            or PosixTimerCalls.CLOCK_TAI;
        bool waitable = timer.ItSigevNotify != PosixTimerCalls.SIGEV_NONE && timer.SiSigno is not (Kernel.Signals.SIGKILL or Kernel.Signals.SIGSTOP);
        return readable && waitable && timer.Overrun > 0 && (timer.Isec | timer.Insec) != 0 && (timer.Vsec | timer.Vnsec) != 0;
    }

    /// <summary>When a timer must have expired first, by its own clock, to have its overruns now; null where that was before the clock began.</summary>
    internal static timespec? FirstExpiration(PosixTimerEntry timer, timespec now)
    {
        const long Second = 1_000_000_000;
        Int128 interval = (Int128)timer.Isec * Second + timer.Insec, left = (Int128)timer.Vsec * Second + timer.Vnsec;
        Int128 start = (Int128)now.tv_sec * Second + now.tv_nsec + left - (timer.Overrun + (Int128)1) * interval;
        return start <= 0 ? null : new timespec { tv_sec = (long)(start / Second), tv_nsec = (long)(start % Second) };
    }

    private static PosixTimerEntry Entry(PosixTimer timer, PosixTimerCalls.itimerspec spec, uint overrun)
    {
        PosixTimerEntry entry = new()
        {
            ItId = (uint)timer.Id, ClockId = (uint)timer.ClockId, SiSigno = (uint)timer.Signal, SivalPtr = timer.Value, Overrun = overrun,
            ItSigevNotify = (uint)timer.Notify | (timer.ToTask ? (uint)PosixTimerCalls.SIGEV_THREAD_ID : 0),
            Isec = (ulong)spec.it_interval.tv_sec, Insec = (ulong)spec.it_interval.tv_nsec,
            Vsec = (ulong)spec.it_value.tv_sec, Vnsec = (ulong)spec.it_value.tv_nsec,
        };
        if (timer.ToTask)
        {
            entry.NotifyThreadId = timer.Target;
        }

        return entry;
    }

    private void Create(RemoteBatch batch, List<PosixTimerEntry> timers)
    {
        if (_canChoose.Value)
        {
            SwitchChoice(batch, Prctl.PR_TIMER_CREATE_RESTORE_IDS_ON);
            timers.ForEach(timer => Create(batch, timer));
            SwitchChoice(batch, Prctl.PR_TIMER_CREATE_RESTORE_IDS_OFF);
        }
        else
        {
            CreateCounting(batch, timers);
        }

        // Other threads wait for the first signals of some of them.
        batch.Run();
    }

    // Before Linux 6.15 the numbers of a process's timers count up from 0. timer_gettime fails where a timer got another number than hoped.
    private static void CreateCounting(RemoteBatch batch, List<PosixTimerEntry> timers)
    {
        uint next = 0;
        foreach (PosixTimerEntry timer in timers)
        {
            if (timer.ItId > LargestCounted)
            {
                throw new CriuException("TimerIdTooLarge", CriuErrorKind.NotSupported, $"timer {timer.ItId} cannot get its number on this kernel")
                {
                    Pid = batch.Task.Pid, Remedy = "restore on Linux 6.15 or later, where numbers can be chosen",
                };
            }

            for (; next < timer.ItId; next++)
            {
                SyscallProgram program = batch.Room(2, sizeof(ulong));
                ulong number = program.Reserve(sizeof(ulong));
                program.Add("timer_create to use up a number", SyscallNumber.timer_create, PosixTimerCalls.CLOCK_MONOTONIC, 0, number);
                program.Add("timer_delete", SyscallNumber.timer_delete, Argument.Int32(number));
            }

            Create(batch, timer);
            SyscallProgram check = batch.Room(1, SpecSize);
            check.Add($"number {timer.ItId} of a timer", SyscallNumber.timer_gettime, (long)timer.ItId, check.Reserve(SpecSize));
            next++;
        }
    }

    private static void SwitchChoice(RemoteBatch batch, int value) =>
        batch.Add("prctl(PR_TIMER_CREATE_RESTORE_IDS)", SyscallNumber.prctl, Prctl.PR_TIMER_CREATE_RESTORE_IDS, value, 0, 0, 0);

    private static void Create(RemoteBatch batch, PosixTimerEntry timer)
    {
        bool toTask = (timer.ItSigevNotify & PosixTimerCalls.SIGEV_THREAD_ID) != 0;
        bool toDead = toTask && timer.NotifyThreadId == 0;
        SyscallProgram program = batch.Room(1, EventSize + sizeof(ulong));
        ulong number = program.Put((ulong)timer.ItId);
        ulong description = program.Put(new PosixTimerCalls.sigevent
        {
            // A timer for a thread that has ended tells nobody.
            sigev_notify = toDead ? PosixTimerCalls.SIGEV_NONE : (int)timer.ItSigevNotify, sigev_signo = (int)timer.SiSigno,
            sigev_value = timer.SivalPtr, sigev_notify_thread_id = timer.NotifyThreadId,
        });
        program.Add(
            $"timer_create of timer {timer.ItId} on clock {(int)timer.ClockId}", SyscallNumber.timer_create, (long)(int)timer.ClockId, description, number);
    }

    // Which task takes a timer's first signal: the one that it is for, else the leader.
    private static int Waiter(PosixTimerEntry timer, TaskRestore restore) =>
        (timer.ItSigevNotify & PosixTimerCalls.SIGEV_THREAD_ID) != 0 ? timer.NotifyThreadId : restore.Pid;

    // kernel/time/posix-timers.c counts overruns when a signal is taken: the intervals since the expiration that sent it. So the timer
    // is started as if it had expired first so many intervals ago, and its signal taken. That leaves overruns and time left as they were.
    private static void StartWithOverruns(RemoteBatch batch, PosixTimerEntry timer)
    {
        if (FirstExpiration(timer, PosixTimerCalls.ClockGetTime((int)timer.ClockId)) is not { } start)
        {
            PosixTimerStart.Start(batch, timer);
            return;
        }

        SyscallProgram program = batch.Room(2, SpecSize + sizeof(ulong) + InfoSize + SpecSize);
        ulong spec = program.Put(new PosixTimerCalls.itimerspec { it_interval = PosixTimerStart.Interval(timer), it_value = start });
        program.Add($"timer_settime of timer {timer.ItId}", SyscallNumber.timer_settime, (long)timer.ItId, PosixTimerCalls.TIMER_ABSTIME, spec, 0);
        ulong set = program.Put(1UL << ((int)timer.SiSigno - 1));
        ulong patience = program.Put(new timespec { tv_sec = 10 });
        program.Add(
            $"signal {timer.SiSigno} of timer {timer.ItId}", SyscallNumber.rt_sigtimedwait, set, program.Reserve(InfoSize), patience, sizeof(ulong));
    }
}

/// <summary>Starts the timers that <see cref="PosixTimers"/> has made, with the time that was left, when everything else is done.</summary>
internal sealed class PosixTimerStart : ITaskState
{
    private const int SpecSize = 32;

    public void Restore(TaskRestore restore)
    {
        if (!restore.IsLeader || restore.Core.Tc.Timers is not { } timers)
        {
            return;
        }

        foreach (PosixTimerEntry timer in timers.Posix.Where(t => (t.Vsec | t.Vnsec) != 0 && !PosixTimers.HasOverruns(t)))
        {
            Start(restore.Batch, timer);
        }
    }

    internal static void Start(RemoteBatch batch, PosixTimerEntry timer)
    {
        SyscallProgram program = batch.Room(1, SpecSize);
        ulong spec = program.Put(new PosixTimerCalls.itimerspec
        {
            it_interval = Interval(timer), it_value = new() { tv_sec = (long)timer.Vsec, tv_nsec = (long)timer.Vnsec },
        });
        program.Add($"timer_settime of timer {timer.ItId}", SyscallNumber.timer_settime, (long)timer.ItId, 0, spec, 0);
    }

    internal static timespec Interval(PosixTimerEntry timer) => new() { tv_sec = (long)timer.Isec, tv_nsec = (long)timer.Insec };
}
