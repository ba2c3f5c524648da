using System.Runtime.CompilerServices;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Compel;

/// <summary>One task that the tracer holds: seized, stopped, run for a moment, let go.</summary>
internal sealed class Tracee
{
    private const ulong AllSignals = ulong.MaxValue;
    private const int LargestExtendedState = 16384;

    private readonly Tracer _tracer;
    private readonly List<int> _heldSignals = [];
    private bool _running;
    private bool _inSyscall, _toBlock;

    private Tracee(Tracer tracer, int pid, int tid)
    {
        _tracer = tracer;
        Pid = pid;
        Tid = tid;
    }

    public int Pid { get; }

    public int Tid { get; }

    public IArchitecture Architecture => _tracer.Architecture;

    /// <summary>Asks the operation that holds the task to end.</summary>
    public CancellationToken Cancellation => _tracer.Cancellation;

    /// <summary>Who holds the task.</summary>
    public Tracer Tracer => _tracer;

    /// <summary>The signal that had stopped the task before it was seized; 0 where it was running.</summary>
    public int StopSignal { get; private set; }

    /// <summary>What the processor held when the task was stopped; null until it was read.</summary>
    public TaskRegisters? Original { get; private set; }

    /// <summary>Whether the tracer has let it go, or it is dead.</summary>
    public bool Released { get; private set; }

    /// <summary>Seizes a task and asks it to stop; <see cref="AwaitFreeze"/> waits until it has.</summary>
    /// <exception cref="KernelException">It is gone (ESRCH), or somebody else traces it (EPERM).</exception>
    public static Tracee Seize(Tracer tracer, int pid, int tid, int options)
    {
        Ptrace.Seize(tid, options);
        Tracee tracee = new(tracer, pid, tid);
        Ptrace.Interrupt(tid);
        return tracee;
    }

    /// <summary>Takes over a task that was born as a tracee (CLONE_PTRACE) and waits for its first stop.</summary>
    public static Tracee Adopt(Tracer tracer, int pid, int tid)
    {
        Tracee tracee = Expect(tracer, pid, tid);
        tracee.AwaitFreeze();
        return tracee;
    }

    /// <summary>A task that will be born as a tracee; <see cref="AwaitFreeze"/> comes when it is.</summary>
    public static Tracee Expect(Tracer tracer, int pid, int tid) => new(tracer, pid, tid);

    /// <summary>Reads the general registers.</summary>
    public byte[] ReadGeneral()
    {
        byte[] general = new byte[Architecture.GeneralSize];
        Current(general);
        return general;
    }

    /// <summary>Waits until the task stands still, and notes whether it was stopped already.</summary>
    /// <exception cref="CriuException">It ended instead, or did not stop in time.</exception>
    public void AwaitFreeze()
    {
        if (!TryAwaitFreeze())
        {
            throw new CriuException("TaskEnded", CriuErrorKind.NotFound, $"task {Tid} ended while it was being stopped") { Pid = Pid };
        }
    }

    /// <summary>As <see cref="AwaitFreeze"/>; false if the task ended instead.</summary>
    public bool TryAwaitFreeze()
    {
        while (true)
        {
            WaitStatus status = _tracer.Await(Tid);
            if (status.IsGone)
            {
                Released = true;
                return false;
            }

            if (status.IsEventStop)
            {
                StopSignal = status.StopSignal is Signals.SIGSTOP or Signals.SIGTSTP or Signals.SIGTTIN or Signals.SIGTTOU ? status.StopSignal : 0;
                return true;
            }

            // A signal was about to be delivered; it goes back to where it came from and the interrupt comes next.
            Ptrace.Continue(Tid, status.StopSignal);
        }
    }

    /// <summary>Reads all registers and the signal mask and remembers them for <see cref="PutBack"/>.</summary>
    // Of the buffer only what the kernel writes is used, and clearing it takes longer than the call.
    [SkipLocalsInit]
    public TaskRegisters Save()
    {
        byte[] general = new byte[Architecture.GeneralSize];
        Ptrace.GetRegisters(Tid, general);
        Span<byte> extended = stackalloc byte[LargestExtendedState];
        int length = Ptrace.GetRegSet(Tid, Architecture.ExtendedRegisterSet, extended);
        Original = new TaskRegisters(general, extended[..length].ToArray(), Ptrace.GetSigMask(Tid));
        return Original;
    }

    /// <summary>
    /// Blocks all signals, so that no handler runs on borrowed registers: as soon as it has them, and not before, so that a task whose tracer dies in
    /// between has not lost its mask.
    /// </summary>
    public void BlockSignals() => _toBlock = true;

    /// <summary>The stack pointer that single calls are made with, where it matters (<see cref="WayHome"/>).</summary>
    public ulong? StackOfCalls { get; set; }

    /// <summary>Puts back what <see cref="Save"/> read. The extended state was never touched: system calls leave it alone.</summary>
    public void PutBack() => AtOnce(PutBackAsync());

    /// <summary>As <see cref="PutBack"/>, in turns with others.</summary>
    public async ValueTask PutBackAsync()
    {
        if (Original is { } original)
        {
            // The mask first: with borrowed registers the task still finds its way home.
            await LeaveSyscallAsync();
            Ptrace.SetSigMask(Tid, original.SignalMask);
            Ptrace.SetRegisters(Tid, original.General);
        }
    }

    /// <summary>Gives the task new registers and signal mask, of another life.</summary>
    public void Load(TaskRegisters registers)
    {
        AtOnce(LeaveSyscallAsync());
        Ptrace.SetRegisters(Tid, registers.General);
        Ptrace.SetRegSet(Tid, Architecture.ExtendedRegisterSet, registers.Extended);
        Ptrace.SetSigMask(Tid, registers.SignalMask);
    }

    /// <summary>Runs one system call where the syscall instruction is; the result is the kernel's (a value or -errno).</summary>
    /// <remarks>
    /// From one stop at its entry to one at its exit. A single step would bring a SIGTRAP, which the kernel forces upon a task that blocks or ignores it
    /// by setting the process's action to the default (kernel/signal.c, force_sig_info_to_task).
    /// </remarks>
    public long RunSyscall(ulong at, long number, params ReadOnlySpan<ulong> arguments)
    {
        StartSyscall(at, number, arguments);
        return FinishSyscall();
    }

    /// <summary>As <see cref="RunSyscall"/>, in turns with others.</summary>
    public ValueTask<long> RunSyscallAsync(ulong at, long number, params ReadOnlySpan<ulong> arguments)
    {
        StartSyscall(at, number, arguments);
        return FinishSyscallAsync();
    }

    /// <summary>Runs one system call of the 32-bit interface where its instruction is; the result is the kernel's.</summary>
    public int RunCompatSyscall(ulong at, long number, params ReadOnlySpan<uint> arguments)
    {
        Span<byte> general = stackalloc byte[Architecture.GeneralSize];
        Current(general);
        Architecture.PrepareCompatSyscall(general, at, number, arguments);
        StartCall(general);
        return (int)FinishSyscall();
    }

    /// <summary>Runs one system call that is interrupted before it can wait; the result is the kernel's, codes for its restart included.</summary>
    public long RunInterrupted(ulong at, long number, params ReadOnlySpan<ulong> arguments)
    {
        Span<byte> general = stackalloc byte[Architecture.GeneralSize];
        Current(general);
        Architecture.PrepareSyscall(general, at, number, arguments);
        StartCall(general);
        AtOnce(AwaitSyscallStopAsync());
        Ptrace.Interrupt(Tid);
        Ptrace.Continue(Tid);
        AtOnce(AwaitEventStopAsync());
        _inSyscall = false;
        Current(general);
        return Architecture.SyscallResult(general);
    }

    /// <summary>Starts one system call as <see cref="RunSyscall"/> does; <see cref="FinishSyscall"/> waits for its end. Those of many tasks go side by side.</summary>
    public void StartSyscall(ulong at, long number, params ReadOnlySpan<ulong> arguments)
    {
        Span<byte> general = stackalloc byte[Architecture.GeneralSize];
        Current(general);
        Architecture.PrepareSyscall(general, at, number, arguments);
        if (StackOfCalls is { } stack)
        {
            Architecture.SetStackPointer(general, stack);
        }

        StartCall(general);
    }

    /// <summary>Waits for the end of what was started; the result is the kernel's.</summary>
    public long FinishSyscall()
    {
        ValueTask<long> call = FinishSyscallAsync();
        return call.IsCompleted ? call.Result : throw InTurns();
    }

    /// <summary>As <see cref="FinishSyscall"/>, in turns with others.</summary>
    public async ValueTask<long> FinishSyscallAsync()
    {
        await AwaitSyscallStopAsync();
        Ptrace.ContinueToSyscall(Tid);
        await AwaitSyscallStopAsync();
        _inSyscall = true;
        return Result();
    }

    private long Result()
    {
        Span<byte> general = stackalloc byte[Architecture.GeneralSize];
        Current(general);
        return Architecture.SyscallResult(general);
    }

    /// <summary>Lets the interpreter run a program up to the end of its first call, in turns with others; the result is the kernel's.</summary>
    public ValueTask<long> RunFirstCallAsync(ulong interpreter, ulong program)
    {
        Span<byte> general = stackalloc byte[Architecture.GeneralSize];
        Current(general);
        Architecture.PrepareInterpreter(general, interpreter, program);
        StartCall(general);
        return FinishSyscallAsync();
    }

    /// <summary>Lets the interpreter run a program that is in the task's memory; does not wait for its end.</summary>
    /// <param name="interpreter">Where it is.</param>
    /// <param name="program">Where the program is.</param>
    /// <param name="registers">All other registers, where they are known; else they are read.</param>
    public void StartProgram(ulong interpreter, ulong program, byte[]? registers = null)
    {
        Span<byte> general = stackalloc byte[Architecture.GeneralSize];
        if (registers is not null)
        {
            registers.CopyTo(general);
        }
        else
        {
            Current(general);
        }

        Architecture.PrepareInterpreter(general, interpreter, program);
        Borrow(general);
        Ptrace.Continue(Tid);
        _inSyscall = false;
        _running = true;
    }

    /// <summary>Waits until the task runs into the trap at the end of a program.</summary>
    public void AwaitTrap(TimeSpan patience)
    {
        while (true)
        {
            WaitStatus status = _tracer.Await(Tid, patience, cancellable: false);
            ThrowIfGone(status);
            if (status.StopSignal == Signals.SIGTRAP && status.Event == 0)
            {
                _running = false;
                return;
            }

            Ptrace.Continue(Tid, Hold(status));
        }
    }

    /// <summary>Looks whether a running task was stopped by something else than us, and lets it run on.</summary>
    public void KeepRunning()
    {
        if (_tracer.Look(Tid) is not { } status)
        {
            return;
        }

        ThrowIfGone(status);
        Ptrace.Continue(Tid, Hold(status));
    }

    /// <summary>Asks a running task to stop; <see cref="AwaitInterruptAsync"/> waits until it has. Many tasks stop side by side that way.</summary>
    public void RequestInterrupt()
    {
        if (_running)
        {
            Ptrace.Interrupt(Tid);
        }
    }

    /// <summary>Waits until a task stands that was asked to stop.</summary>
    public async ValueTask AwaitInterruptAsync()
    {
        if (_running)
        {
            await AwaitEventStopAsync();
        }
    }

    /// <summary>Whether it was a 32-bit program's when its registers were read.</summary>
    public bool IsCompat => Original is { } original && !Architecture.IsNative(original.General);

    /// <summary>The address of the next instruction.</summary>
    public ulong InstructionPointer()
    {
        Span<byte> general = stackalloc byte[Architecture.GeneralSize];
        Current(general);
        return Architecture.InstructionPointer(general);
    }

    /// <summary>Lets the task go; signals that came while it was held are sent again.</summary>
    public void Detach(int signal = 0)
    {
        if (Released)
        {
            return;
        }

        Released = true;
        Ptrace.Detach(Tid, signal);
        foreach (int held in _heldSignals)
        {
            Signals.ThreadKill(Pid, Tid, held);
        }
    }

    /// <summary>Lets the task go if it is still there: it may have been killed, or its process may have ended.</summary>
    public void Release()
    {
        try
        {
            Detach();
        }
        catch (KernelException e) when (e.Errno == Errno.ESRCH)
        {
            ReleaseLater();
        }
    }

    // It is dead, or was asked to stop and has not yet: only one that stands can be let go (ptrace(2), PTRACE_DETACH). One that does not stop soon is let go by
    // the kernel, when this thread ends.
    private void ReleaseLater()
    {
        if (_tracer.AwaitBriefly(Tid) is not { IsGone: false } stop)
        {
            return;
        }

        try
        {
            Ptrace.Detach(Tid, stop.IsEventStop ? 0 : stop.StopSignal);
        }
        catch (KernelException e) when (e.Errno == Errno.ESRCH)
        {
            // Somebody killed it meanwhile.
        }
    }

    /// <summary>Notes that the task is dead and needs no more care.</summary>
    public void Forget() => Released = true;

    private void Current(Span<byte> general) => Ptrace.GetRegisters(Tid, general);

    private void StartCall(ReadOnlySpan<byte> general)
    {
        Borrow(general);
        Ptrace.ContinueToSyscall(Tid);
    }

    private void Borrow(ReadOnlySpan<byte> general)
    {
        Ptrace.SetRegisters(Tid, general);
        if (_toBlock)
        {
            Ptrace.SetSigMask(Tid, AllSignals);
            _toBlock = false;
        }
    }

    private static void AtOnce(ValueTask work)
    {
        if (!work.IsCompleted)
        {
            throw InTurns();
        }

        work.GetAwaiter().GetResult();
    }

    private static InvalidOperationException InTurns() => new("this does not wait in turns");

    private async ValueTask AwaitSyscallStopAsync()
    {
        while (true)
        {
            WaitStatus status = await _tracer.AwaitAsync(Tid, TimeSpan.FromMinutes(10));
            ThrowIfGone(status);
            if (status.IsSyscallStop)
            {
                return;
            }

            Ptrace.ContinueToSyscall(Tid, Hold(status));
        }
    }

    // From the exit of a system call to a stop in which the kernel looks at signals and interrupted calls, as it was when the task was frozen.
    private async ValueTask LeaveSyscallAsync()
    {
        if (_inSyscall)
        {
            Ptrace.Interrupt(Tid);
            Ptrace.Continue(Tid);
            await AwaitEventStopAsync();
            _inSyscall = false;
        }
    }

    private async ValueTask AwaitEventStopAsync()
    {
        while (true)
        {
            WaitStatus status = await _tracer.AwaitAsync(Tid, TimeSpan.FromMinutes(1));
            ThrowIfGone(status);
            if (status.IsEventStop)
            {
                _running = false;
                return;
            }

            Ptrace.Continue(Tid, Hold(status));
        }
    }

    // Only few signals come here although all are blocked. A stop is kept for later. A fault of our own is the end; one that waited in the task's queue
    // before is taken out with the trap of a program's end (kernel/signal.c, dequeue_synchronous_signal) and goes back: that one is still blocked.
    private int Hold(WaitStatus status)
    {
        int signal = status.StopSignal;
        if (status.IsEventStop || signal == Signals.SIGTRAP)
        {
            return 0;
        }

        if (signal is Signals.SIGSEGV or Signals.SIGBUS or Signals.SIGILL or Signals.SIGFPE or Signals.SIGSYS)
        {
            return (Ptrace.GetSigMask(Tid) & (1UL << (signal - 1))) != 0 ? signal : throw Faulted(signal);
        }

        _heldSignals.Add(signal);
        return 0;
    }

    private CriuException Faulted(int signal) =>
        new("TaskFaulted", CriuErrorKind.KernelFailure, $"task {Tid} faulted with signal {signal} at 0x{InstructionPointer():x} while it ran for us") { Pid = Pid };

    private void ThrowIfGone(WaitStatus status)
    {
        if (status.IsGone)
        {
            Released = true;
            throw new CriuException("TaskEnded", CriuErrorKind.NotFound, $"task {Tid} {status} while it was held") { Pid = Pid };
        }
    }
}
