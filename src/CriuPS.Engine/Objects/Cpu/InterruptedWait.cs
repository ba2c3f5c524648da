using System.Runtime.InteropServices;
using CriuPS.Engine.Compel;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using timespec = CriuPS.Engine.Kernel.timespec;

namespace CriuPS.Engine.Objects.Cpu;

/// <summary>
/// A wait with a timeout that the freeze has interrupted. The kernel keeps in task_struct.restart_block when it is over (ERESTART_RESTARTBLOCK). Where the
/// task had asked for the time that is left, its memory tells it, else the kernel's block does (<see cref="RestartBlocks"/>). The restored task begins the call
/// with the time that was left and is interrupted at once, so that the kernel makes a block anew; then it gets its registers. A wait of which
/// nobody knows the time ends with EINTR, as in CRIU.
/// </summary>
internal static class InterruptedWait
{
    private const int CommandMask = 0x7f, FUTEX_WAIT_BITSET = 9;
    private const int ArgumentCount = 4;
    private const long NanosecondsPerSecond = 1_000_000_000, NanosecondsPerMillisecond = 1_000_000;

    /// <summary>Whether a frozen task sits in such a wait of which neither its registers nor its memory tell what is left.</summary>
    public static bool NeedsBlock(Tracee task)
    {
        if (!Is(task))
        {
            return false;
        }

        long call = task.Architecture.InterruptedSyscall(task.Original!.General);
        ulong[] arguments = Arguments(task);
        return !HasNoTimeLeft(call, arguments, null) && !(RestAt(call, arguments) is { } rest && rest != 0);
    }

    /// <summary>Notes the wait of a task, if it is in one, and makes its registers such that they can be loaded into another.</summary>
    /// <param name="task">The task.</param>
    /// <param name="settled">A copy of its general registers.</param>
    /// <param name="blocks">What the kernel keeps; null where it does not tell.</param>
    public static void Save(TaskDump task, Span<byte> settled, RestartBlocks? blocks)
    {
        IArchitecture architecture = task.Task.Architecture;
        if (!Is(task.Task))
        {
            architecture.SettleInterruptedSyscall(settled);
            return;
        }

        RestartBlocks.Block? block = blocks?.Of(task.Task.Tid);
        long call = block is { } known ? CallOf(known.Function) : architecture.InterruptedSyscall(settled);
        ulong[] arguments = Arguments(task.Task);
        if (HasNoTimeLeft(call, arguments, block))
        {
            architecture.CallAgain(settled, call);
            return;
        }

        architecture.SettleInterruptedSyscall(settled);
        task.Extra.Wait = call switch
        {
            SyscallNumber.nanosleep or SyscallNumber.clock_nanosleep => Sleep(task, call, arguments, block),
            SyscallNumber.poll when block is { } poll => Entry(call, [arguments[0], arguments[1], 0, 0], poll.PollExpires - Now()),
            SyscallNumber.futex when block is { } futex => Entry(call, [.. arguments[..3], 0], futex.FutexTime - Now()),
            _ => null,
        };
    }

    /// <summary>Makes a restored task wait again, if it did; afterwards it must run nothing more before it is let go.</summary>
    /// <param name="task">The task.</param>
    /// <param name="saved">Its image.</param>
    /// <param name="registers">Its registers, which are changed.</param>
    /// <param name="syscallAt">Where it can enter the kernel.</param>
    /// <param name="scratch">Memory in it that nobody needs.</param>
    public static void Resume(Tracee task, CriupsThreadEntry? saved, TaskRegisters registers, ulong syscallAt, ulong scratch)
    {
        if (saved?.Wait is not { } wait)
        {
            return;
        }

        timespec left = new() { tv_sec = (long)wait.Left / NanosecondsPerSecond, tv_nsec = (long)wait.Left % NanosecondsPerSecond };
        ProcessVm.Write(task.Pid, scratch, MemoryMarshal.AsBytes(new ReadOnlySpan<timespec>(in left)));
        ulong[] arguments = [.. wait.Arguments];
        (int timeoutAt, ulong timeout) = wait.Call switch
        {
            SyscallNumber.clock_nanosleep => (2, scratch),
            SyscallNumber.poll => (2, (ulong)Milliseconds(wait.Left)),
            SyscallNumber.futex => (3, scratch),
            _ => throw new CriuException("BadWait", CriuErrorKind.InvalidData, $"the images say that thread {task.Tid} waits in system call {wait.Call}"),
        };
        arguments[timeoutAt] = timeout;
        long result = task.RunInterrupted(syscallAt, wait.Call, arguments);
        if (result == -Errno.ERESTART_RESTARTBLOCK)
        {
            task.Architecture.AwaitRestart(registers.General, wait.Call);
        }
        else
        {
            // The time is over, or what was waited for is there already.
            task.Architecture.SetResult(registers.General, result);
        }
    }

    // A 32-bit program's calls have other numbers and structures: its waits end with EINTR.
    private static bool Is(Tracee task) => !task.IsCompat && task.Architecture.AwaitsRestart(task.Original!.General);

    private static ulong[] Arguments(Tracee task) =>
        [.. Enumerable.Range(0, ArgumentCount).Select(i => task.Architecture.Argument(task.Original!.General, i))];

    // Where a sleep has its task's memory told what is left of it.
    private static ulong? RestAt(long call, ulong[] arguments) => call switch
    {
        SyscallNumber.nanosleep => arguments[1],
        SyscallNumber.clock_nanosleep => arguments[3],
        _ => null,
    };

    // Without a time, or with one that is absolute, the call can simply be made again.
    private static bool HasNoTimeLeft(long call, ulong[] arguments, RestartBlocks.Block? block) => call switch
    {
        SyscallNumber.poll => block is { } poll ? !poll.PollHasTimeout : (int)arguments[2] < 0,
        SyscallNumber.futex => arguments[3] == 0 || ((int)arguments[1] & CommandMask) == FUTEX_WAIT_BITSET,
        _ => false,
    };

    // The kernel's function tells the call also where it was restarted before and its number is lost.
    private static long CallOf(string function) => function switch
    {
        _ when function.StartsWith("hrtimer_nanosleep_restart", StringComparison.Ordinal) => SyscallNumber.clock_nanosleep,
        _ when function.StartsWith("do_restart_poll", StringComparison.Ordinal) => SyscallNumber.poll,
        _ when function.StartsWith("futex_wait_restart", StringComparison.Ordinal) => SyscallNumber.futex,
        _ => SyscallNumber.restart_syscall,
    };

    private static CriupsWaitEntry? Sleep(TaskDump task, long call, ulong[] arguments, RestartBlocks.Block? block)
    {
        if (block is { } known)
        {
            long left = known.NanosleepExpires - PosixTimerCalls.ClockGetTime(known.Clock).ToNanoseconds();
            return Entry(SyscallNumber.clock_nanosleep, [(ulong)known.Clock, 0, 0, known.NanosleepRest], left);
        }

        // The kernel writes what is left when a sleep is interrupted (kernel/time/hrtimer.c, nanosleep_copyout).
        int clock = call == SyscallNumber.nanosleep ? PosixTimerCalls.CLOCK_MONOTONIC : (int)arguments[0];
        bool isClock = clock is PosixTimerCalls.CLOCK_REALTIME or PosixTimerCalls.CLOCK_MONOTONIC or PosixTimerCalls.CLOCK_BOOTTIME or PosixTimerCalls.CLOCK_TAI;
        if (RestAt(call, arguments) is not (not 0 and ulong restAt) || !isClock)
        {
            return null;
        }

        timespec rest = new() { tv_sec = (long)Ptrace.PeekData(task.Task.Tid, restAt), tv_nsec = (long)Ptrace.PeekData(task.Task.Tid, restAt + sizeof(long)) };
        return Entry(SyscallNumber.clock_nanosleep, [(ulong)clock, 0, 0, restAt], rest.ToNanoseconds());
    }

    private static CriupsWaitEntry Entry(long call, ulong[] arguments, long left)
    {
        CriupsWaitEntry entry = new() { Call = (uint)call, Left = (ulong)Math.Max(0, left) };
        entry.Arguments.AddRange(arguments);
        return entry;
    }

    private static long Milliseconds(ulong nanoseconds) =>
        Math.Min(int.MaxValue, ((long)nanoseconds + NanosecondsPerMillisecond - 1) / NanosecondsPerMillisecond);

    private static long Now() => PosixTimerCalls.ClockGetTime(PosixTimerCalls.CLOCK_MONOTONIC).ToNanoseconds();
}
