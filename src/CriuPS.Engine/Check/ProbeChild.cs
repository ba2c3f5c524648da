using System.Runtime.InteropServices;
using CriuPS.Engine.Compel;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Check;

/// <summary>
/// A newborn in which calls are tried: what a probe opens, maps, mounts, unshares or breaks is the child's alone and ends with it.
/// Addresses are numbers in its memory; nothing of ours is ever passed to a call that is tried.
/// </summary>
internal sealed class ProbeChild : IDisposable
{
    private const int Options = Ptrace.PTRACE_O_EXITKILL | Ptrace.PTRACE_O_TRACESYSGOOD;
    private const int ScratchSize = 1 << 16;
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);

    private readonly Tracer _tracer;
    private readonly ulong _syscall;
    private long _scratch;
    private int _used;
    private ProcDirectory? _proc;

    private ProbeChild(Tracer tracer, Tracee task)
    {
        _tracer = tracer;
        _syscall = Newborn.SyscallAt(tracer.Architecture);
        Task = task;
    }

    public int Pid => Task.Pid;

    public Tracee Task { get; }

    /// <summary>Where it enters the kernel.</summary>
    public ulong SyscallAt => _syscall;

    /// <summary>Its /proc.</summary>
    public ProcDirectory Proc => _proc ??= new ProcDirectory(Pid);

    /// <summary>Makes a child without descriptors; it dies with the tracer's thread, whatever happens to us.</summary>
    public static ProbeChild Create(Tracer tracer)
    {
        int pid = Newborn.Create();
        try
        {
            ProbeChild child = new(tracer, Tracee.Seize(tracer, pid, pid, Options));
            child.Task.AwaitFreeze();
            child.Task.Save();
            child.CloseAll();
            return child;
        }
        catch
        {
            End(tracer, pid);
            throw;
        }
    }

    /// <summary>Runs a call; the result is the kernel's: a value, or -errno.</summary>
    public long Call(int number, params ReadOnlySpan<long> arguments) =>
        Task.RunSyscall(_syscall, number, MemoryMarshal.Cast<long, ulong>(arguments));

    /// <summary>Runs a call that only prepares what is to be tried.</summary>
    /// <exception cref="KernelException">It failed.</exception>
    public long Must(string call, int number, params ReadOnlySpan<long> arguments) => Syscall.Check(Call(number, arguments), call);

    /// <summary>Opens a path.</summary>
    public long Open(string path, int flags) => Call(SyscallNumber.openat, OpenAt.AT_FDCWD, Put(path), flags, 0x180);

    /// <summary>Maps private anonymous memory.</summary>
    public long Map(long length, int protection = Memory.PROT_READ | Memory.PROT_WRITE) =>
        Must("mmap", SyscallNumber.mmap, 0, length, protection, Memory.MAP_PRIVATE | Memory.MAP_ANONYMOUS, -1, 0);

    /// <summary>Copies bytes into its memory; the result is their address.</summary>
    public long Put(ReadOnlySpan<byte> bytes)
    {
        long address = Room(bytes.Length);
        Write(address, bytes);
        return address;
    }

    /// <summary>Copies a text, ended by a zero byte, into its memory.</summary>
    public long Put(string text) => Put(CString.From(text));

    /// <summary>Copies a structure into its memory.</summary>
    public long Put<T>(in T value) where T : unmanaged => Put(MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value)));

    /// <summary>Room for an answer, filled with zeros.</summary>
    public long Room(int size)
    {
        if (_scratch == 0)
        {
            _scratch = Map(ScratchSize);
        }

        int at = (_used + 15) & ~15;
        if (at + size > ScratchSize)
        {
            throw new InvalidOperationException("a probe needs more memory than there is");
        }

        _used = at + size;
        Write(_scratch + at, new byte[size]);
        return _scratch + at;
    }

    /// <summary>A structure out of its memory.</summary>
    public T Read<T>(long address) where T : unmanaged
    {
        T value = default;
        ProcessVm.Read(Pid, (ulong)address, MemoryMarshal.AsBytes(new Span<T>(ref value)));
        return value;
    }

    /// <summary>Bytes out of its memory.</summary>
    public byte[] Read(long address, int length)
    {
        byte[] bytes = new byte[length];
        ProcessVm.Read(Pid, (ulong)address, bytes);
        return bytes;
    }

    public void Write(long address, ReadOnlySpan<byte> bytes) => ProcessVm.Write(Pid, (ulong)address, bytes);

    /// <summary>Clones the child: a sibling of it, a child of ours, stopped and traced as it is. Null with the errno on failure.</summary>
    /// <param name="flags">Additional clone flags, e.g. namespaces.</param>
    /// <param name="pid">The pid it must get, 0 for any.</param>
    /// <param name="errno">0, or why it failed.</param>
    public ProbeChild? TryClone(ulong flags, int pid, out int errno)
    {
        Clone3.clone_args args = new()
        {
            // With CLONE_PARENT the new process is ours to reap, and sends no signal.
            flags = flags | Clone3.CLONE_PARENT | Clone3.CLONE_PTRACE,
            set_tid = pid == 0 ? 0 : (ulong)Put(pid), set_tid_size = pid == 0 ? 0UL : 1,
        };
        long result = Call(SyscallNumber.clone3, Put(args), Marshal.SizeOf<Clone3.clone_args>());
        errno = Syscall.IsError(result) ? (int)-result : 0;
        if (errno != 0)
        {
            return null;
        }

        ProbeChild clone = new(_tracer, Tracee.Adopt(_tracer, (int)result, (int)result)) { _scratch = _scratch, _used = _used };
        clone.Task.Save();
        return clone;
    }

    /// <summary>Closes all descriptors and forgets what was put into its memory.</summary>
    public void Reset()
    {
        CloseAll();
        _used = 0;
    }

    public void Dispose()
    {
        _proc?.Dispose();
        if (!Task.Released)
        {
            Task.Forget();
            End(_tracer, Pid);
        }
    }

    private static void End(Tracer tracer, int pid)
    {
        Signals.Kill(pid, Signals.SIGKILL);
        while (!tracer.Await(pid, s_patience, cancellable: false).IsGone)
        {
        }
    }

    private void CloseAll()
    {
        // Where the kernel is too old for it (5.9), what was inherited stays open; it does no harm.
        Call(SyscallNumber.close_range, 0, int.MaxValue, 0);
    }
}
