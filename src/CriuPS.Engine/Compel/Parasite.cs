using System.Runtime.InteropServices;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Compel;

/// <summary>
/// Our code in the live tasks of one process. It is safe against our own death: a task that has done its program waits for the end of a socket whose
/// other end only we hold; when we die the kernel's sigreturn puts every register and the signal mask back.
/// </summary>
/// <remarks>
/// Before the interpreter is there, and after it is gone, single system calls run on borrowed registers: <see cref="WayHome"/> leads home from those.
/// </remarks>
internal sealed class Parasite : IDisposable
{
    private const int KeepRunningMilliseconds = 20, NapMicroseconds = 30, MicrosecondsOfOneProgram = 5;

    /// <summary>The operations of a program's tail that have no results: the wait, and what follows it.</summary>
    private const int StepsAfterResults = 2;

    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(10);

    private const int SmallProgram = 2048;

    private readonly Tracee _leader;
    private readonly WayHome? _way;
    private readonly ulong _syscallAt;
    private readonly Arena _arena;
    private readonly int _remoteSocket;
    private readonly SafeFileHandle _socket;
    private readonly Dictionary<int, ulong> _frames = [];
    private readonly Dictionary<int, MemoryPiece> _stacks = [];
    private readonly List<MemoryPiece> _unwritten = [];
    private readonly HashSet<Tracee> _parked = [];
    private ulong _free;
    private bool _farEndOpen = true;
    private readonly int _farEnd;

    private Parasite(Tracee leader, ulong syscallAt, WayHome? way, Arena arena, (int Near, int Far) remote, SafeFileHandle socket)
    {
        _leader = leader;
        _syscallAt = syscallAt;
        _way = way;
        _arena = arena;
        (_remoteSocket, _farEnd) = remote;
        _socket = socket;
        _free = arena.Data + 64;
    }

    /// <summary>Bytes of arena that a task needs for a program of this size.</summary>
    public static int RoomFor(Tracee task, int programSize) =>
        task.Architecture.SignalFrameSize(task.Original!.Extended.Length) + 64 + programSize + 64;

    /// <summary>Brings the parasite into a process, in turns with others.</summary>
    /// <param name="leader">A stopped task of the process, its registers saved.</param>
    /// <param name="pidfd">The process.</param>
    /// <param name="mappings">Its memory.</param>
    /// <param name="room">Bytes for programs, see <see cref="RoomFor"/>.</param>
    public static async ValueTask<Parasite> InfectAsync(Tracee leader, SafeFileHandle pidfd, IReadOnlyList<Vma> mappings, int room)
    {
        WayHome? way = WayHome.Find(leader, mappings);
        ulong syscallAt = way?.SyscallAt ?? SyscallSite.Find(leader.Pid, mappings, leader.Architecture);
        int dataSize = (room + 64 + Memory.PageSize - 1) / Memory.PageSize * Memory.PageSize;
        Arena? arena = null;
        way?.Lay();
        try
        {
            leader.StackOfCalls = way?.Stack;
            leader.BlockSignals();
            arena = await Arena.CreateAsync(leader, syscallAt, dataSize, leader.IsCompat ? PlaceForCompat(leader, mappings, dataSize) : 0);
            (int near, int far) = await MakeSocketPairAsync(leader, arena);
            Parasite parasite = new(leader, syscallAt, way, arena, (near, far), PidFd.GetFd(pidfd, far));

            // From here on the task stands in a program, which leads home by itself.
            way?.Remove();
            return parasite;
        }
        catch
        {
            if (arena is not null)
            {
                await leader.RunSyscallAsync(syscallAt, SyscallNumber.munmap, arena.Address, arena.Size);
            }

            await leader.PutBackAsync();
            way?.Remove();
            throw;
        }
    }

    /// <summary>The number of our socket in the process, for programs that receive descriptors.</summary>
    public int RemoteSocket => _remoteSocket;

    /// <summary>Our end of the socket.</summary>
    public SafeFileHandle Socket => _socket;

    /// <summary>Makes an empty program for a task of the process.</summary>
    public SyscallProgram NewProgram(Tracee task, int size)
    {
        ulong frame = FrameOf(task);
        SyscallProgram program = new(Take(size, 16), size) { Frame = frame };
        if (_farEndOpen)
        {
            _farEndOpen = false;
            program.Add("close of the parasite's socket", SyscallNumber.close, _farEnd);
        }

        // The frame must hold the alternate stack that the task has: sigreturn sets it.
        program.Add("sigaltstack", SyscallNumber.sigaltstack, 0, frame + (ulong)task.Architecture.SignalFrameStackOffset);
        return program;
    }

    /// <summary>The alternate signal stack of a task, after one of its programs ran.</summary>
    public StackT AlternateStack(Tracee task)
    {
        return MemoryMarshal.Read<StackT>(_stacks[task.Tid].Bytes.Span);
    }

    /// <summary>Runs programs, each in its task, all at once, and reads their results back; in turns with other processes.</summary>
    public async ValueTask RunAsync(IReadOnlyList<(Tracee Task, SyscallProgram Program)> runs)
    {
        // A task that still waits in its last program must not find another one in its place.
        foreach (Tracee task in runs.Select(run => run.Task).Where(_parked.Contains))
        {
            await ParkAsync(task);
        }

        List<MemoryPiece> pieces = [];
        foreach ((Tracee task, SyscallProgram program) in runs)
        {
            AddTail(program, reports: program == runs[0].Program);
            program.Begin();
            program.AddPieces(pieces);
        }

        ProcessVm.Write(_leader.Pid, [.. _unwritten, .. pieces]);
        _unwritten.Clear();
        foreach ((Tracee task, SyscallProgram program) in runs)
        {
            Start(task, program);
        }

        await AwaitProgramsAsync(runs);
        ProcessVm.Read(_leader.Pid, [.. pieces, .. runs.Select(run => _stacks[run.Task.Tid])]);
        foreach ((_, SyscallProgram program) in runs)
        {
            program.ThrowIfFailed(_leader.Pid);
        }
    }

    // What a program does at its end: tell us, and wait for us or for our death.
    private void AddTail(SyscallProgram program, bool reports)
    {
        program.BeginTail();
        if (reports)
        {
            ulong word = program.Put(0UL);
            program.Try("report", SyscallNumber.sendto, _remoteSocket, word, sizeof(ulong), UnixSocket.MSG_NOSIGNAL, 0, 0);
        }

        // ppoll, because poll would overwrite the restart block of the call that the task was interrupted in (fs/select.c).
        // Data does not end this wait, only the other end's death does; then the task takes our socket away before it goes home.
        ulong wait = program.Put(new Poll.pollfd { fd = _remoteSocket });
        program.Try("wait", SyscallNumber.ppoll, wait, 1, 0, 0, 0);
        program.Try("close", SyscallNumber.close, _remoteSocket);
    }

    /// <summary>Takes the parasite out: every task stands stopped with its own registers, nothing of ours is left.</summary>
    public async ValueTask CureAsync()
    {
        _way?.Lay();
        foreach (Tracee task in _parked)
        {
            task.RequestInterrupt();
        }

        foreach (Tracee task in _parked)
        {
            await task.AwaitInterruptAsync();
            if (!IsInside(task))
            {
                // It went home by itself: what it has now is its own, and no way of ours leads there any more.
                task.Save();
                task.StackOfCalls = null;
            }

            if (task != _leader)
            {
                await task.PutBackAsync();
            }
        }

        _parked.Clear();
        if (_farEndOpen)
        {
            await _leader.RunSyscallAsync(_syscallAt, SyscallNumber.close, (ulong)_farEnd);
        }

        await _leader.RunSyscallAsync(_syscallAt, SyscallNumber.close, (ulong)_remoteSocket);
        await _leader.RunSyscallAsync(_syscallAt, SyscallNumber.munmap, _arena.Address, _arena.Size);
        await _leader.PutBackAsync();
        _way?.Remove();
        _socket.Dispose();
    }

    /// <summary>Closes our end of the socket. Tasks that were not cured, and are not dead, go home by themselves.</summary>
    public void Dispose() => _socket.Dispose();

    // Asked by a 64-bit call the kernel would look for a place where a 32-bit program can have none (arch/x86/mm/mmap.c, get_mmap_base).
    private static ulong PlaceForCompat(Tracee leader, IReadOnlyList<Vma> mappings, int dataSize) =>
        AddressHole.Find(mappings.Select(vma => (vma.Start, vma.End)), Arena.SizeFor(dataSize), leader.Architecture, compat: true);

    // In a program, so that a task that loses us at this moment closes both ends and goes home. It lies at the end of the arena: the next one, which is written
    // while the task still stands in this, lies at the beginning.
    private static async ValueTask<(int Near, int Far)> MakeSocketPairAsync(Tracee leader, Arena arena)
    {
        TaskRegisters original = leader.Original!;
        byte[] frame = new byte[leader.Architecture.SignalFrameSize(original.Extended.Length)];
        ulong at = (arena.Data + (ulong)arena.DataSize - (ulong)(frame.Length + SmallProgram)) & ~63UL;
        ulong entry = leader.Architecture.BuildSignalFrame(frame, at, original.General, original.Extended, original.SignalMask);
        ProcessVm.Write(leader.Pid, at, frame);
        SyscallProgram program = new(at + (ulong)frame.Length, SmallProgram) { Frame = entry };
        ulong pair = program.Reserve(2 * sizeof(int));
        program.Add("socketpair", SyscallNumber.socketpair, UnixSocket.AF_UNIX, UnixSocket.SOCK_SEQPACKET | UnixSocket.SOCK_CLOEXEC, 0, pair);
        program.Try("close", SyscallNumber.close, Argument.Int32(pair));
        program.Try("close", SyscallNumber.close, Argument.Int32(pair + sizeof(int)));
        program.Store(leader.Pid);
        long result = await leader.RunFirstCallAsync(arena.Interpreter, program.Address);
        if (Syscall.IsError(result))
        {
            throw new RemoteCallException(leader.Pid, "socketpair for the parasite", (int)-result)
            {
                Remedy = "two free descriptor numbers are needed: look at the process's limit of open files (RLIMIT_NOFILE)",
            };
        }

        Span<byte> numbers = stackalloc byte[2 * sizeof(int)];
        ProcessVm.Read(leader.Pid, pair, numbers);
        return (MemoryMarshal.Read<int>(numbers), MemoryMarshal.Read<int>(numbers[sizeof(int)..]));
    }

    private void Start(Tracee task, SyscallProgram program)
    {
        if (_parked.Add(task))
        {
            task.BlockSignals();
        }

        task.StartProgram(_arena.Interpreter, program.Address, task.Original!.General);
    }

    private bool IsInside(Tracee task)
    {
        ulong ip = task.InstructionPointer();
        return ip >= _arena.Interpreter && ip < _arena.Data;
    }

    // Out of the wait: the task stands in the interpreter, unless something let it go home.
    private async ValueTask ParkAsync(Tracee task)
    {
        task.RequestInterrupt();
        await task.AwaitInterruptAsync();
        if (!IsInside(task))
        {
            throw new CriuException("ParasiteLost", CriuErrorKind.KernelFailure, $"task {task.Tid} left the parasite's code by itself")
            {
                Pid = task.Pid,
            };
        }
    }

    // The first program reports over the socket. If all did, each report would go through the waits of those that have come to theirs, so the
    // others are watched: a program stands in its wait when only that and what comes after it is left.
    private async ValueTask AwaitProgramsAsync(IReadOnlyList<(Tracee Task, SyscallProgram Program)> runs)
    {
        long deadline = Environment.TickCount64 + (long)s_patience.TotalMilliseconds;
        await AwaitReportAsync(runs, deadline);
        List<SyscallProgram> busy = [.. runs.Skip(1).Select(run => run.Program)];
        long nextLook = Environment.TickCount64 + KeepRunningMilliseconds;
        while (true)
        {
            ProcessVm.Read(_leader.Pid, [.. busy.Select(program => program.Progress)]);
            busy.RemoveAll(program => program.Done >= program.Count - StepsAfterResults);
            if (busy.Count == 0)
            {
                return;
            }

            // A glance at a thousand programs costs time that the tasks could have used.
            await _leader.Tracer.RestAsync(NapMicroseconds + busy.Count * MicrosecondsOfOneProgram);
            if (Environment.TickCount64 > nextLook)
            {
                KeepRunning(runs, deadline);
                nextLook = Environment.TickCount64 + KeepRunningMilliseconds;
            }
        }
    }

    private async ValueTask AwaitReportAsync(IReadOnlyList<(Tracee Task, SyscallProgram Program)> runs, long deadline)
    {
        while (!await _leader.Tracer.AwaitReadableAsync(_socket, KeepRunningMilliseconds))
        {
            KeepRunning(runs, deadline);
        }

        Span<byte> report = stackalloc byte[sizeof(ulong)];
        if (UnixSocket.Receive(_socket, report) == 0)
        {
            throw new CriuException("TaskEnded", CriuErrorKind.NotFound, $"process {_leader.Pid} ended while it was held") { Pid = _leader.Pid };
        }
    }

    private void KeepRunning(IReadOnlyList<(Tracee Task, SyscallProgram Program)> runs, long deadline)
    {
        foreach ((Tracee task, _) in runs)
        {
            task.KeepRunning();
        }

        if (Environment.TickCount64 > deadline)
        {
            throw new CriuException("TaskDidNotStop", CriuErrorKind.Timeout, $"process {_leader.Pid} did not finish the parasite's calls")
            {
                Pid = _leader.Pid,
            };
        }
    }

    private ulong FrameOf(Tracee task)
    {
        if (_frames.TryGetValue(task.Tid, out ulong known))
        {
            return known;
        }

        TaskRegisters original = task.Original!;
        byte[] frame = new byte[task.Architecture.SignalFrameSize(original.Extended.Length)];
        ulong address = Take(frame.Length, 64);
        ulong entry = task.Architecture.BuildSignalFrame(frame, address, original.General, original.Extended, original.SignalMask);
        _unwritten.Add(new MemoryPiece(address, frame));
        _stacks[task.Tid] = new MemoryPiece(entry + (ulong)task.Architecture.SignalFrameStackOffset, new byte[StackT.Size]);
        return _frames[task.Tid] = entry;
    }

    private ulong Take(int size, int alignment)
    {
        ulong address = (_free + (ulong)alignment - 1) / (ulong)alignment * (ulong)alignment;
        _free = address + (ulong)size;
        if (_free > _arena.Data + (ulong)_arena.DataSize)
        {
            throw new InvalidOperationException("the parasite's arena is full");
        }

        return address;
    }
}
