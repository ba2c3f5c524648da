using System.Runtime.InteropServices;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Compel;

/// <summary>
/// Memory of ours inside another process: a page with the interpreter, that cannot be written, and behind it data, that cannot be executed
/// (a process may deny memory that is both, PR_SET_MDWE).
/// </summary>
internal sealed class Arena
{
    private const int CodeSize = Memory.PageSize;

    private Arena(ulong address, int dataSize, IArchitecture architecture)
    {
        Address = address;
        DataSize = dataSize;
        CompatSyscallAt = address + (ulong)Padded(architecture.Interpreter.Length);
    }

    public ulong Address { get; }

    public ulong Interpreter => Address;

    /// <summary>Behind the interpreter: where a call of the 32-bit interface can be made.</summary>
    public ulong CompatSyscallAt { get; }

    public ulong Data => Address + CodeSize;

    public int DataSize { get; }

    public ulong Size => (ulong)(CodeSize + DataSize);

    /// <summary>How many bytes an arena with so much data takes.</summary>
    public static ulong SizeFor(int dataSize) => (ulong)(CodeSize + dataSize);

    /// <summary>Maps an arena into a stopped task by single system calls, in turns with others.</summary>
    /// <param name="task">Stopped, its registers saved.</param>
    /// <param name="syscallAt">Where the syscall instruction is.</param>
    /// <param name="dataSize">Bytes of data, whole pages.</param>
    /// <param name="address">Where it must be, or 0 for anywhere.</param>
    public static async ValueTask<Arena> CreateAsync(Tracee task, ulong syscallAt, int dataSize, ulong address = 0)
    {
        int fixedFlag = address == 0 ? 0 : Memory.MAP_FIXED_NOREPLACE;
        const int Private = Memory.MAP_PRIVATE | Memory.MAP_ANONYMOUS;
        ulong size = SizeFor(dataSize);
        ulong start = await MapAsync(task, syscallAt, address, size, Memory.PROT_READ | Memory.PROT_WRITE, Private | fixedFlag);
        try
        {
            await MapAsync(task, syscallAt, start, CodeSize, Memory.PROT_READ | Memory.PROT_EXEC, Private | Memory.MAP_FIXED);
            WriteCode(task, start);
        }
        catch
        {
            await task.RunSyscallAsync(syscallAt, SyscallNumber.munmap, start, size);
            throw;
        }

        return new Arena(start, dataSize, task.Architecture);
    }

    private static async ValueTask<ulong> MapAsync(Tracee task, ulong syscallAt, ulong address, ulong size, int protection, int flags)
    {
        long result = await task.RunSyscallAsync(
            syscallAt, SyscallNumber.mmap, address, size, (ulong)protection, (ulong)flags, ulong.MaxValue, 0);
        if (Syscall.IsError(result))
        {
            throw new RemoteCallException(task.Pid, $"mmap of {size} bytes for the parasite", (int)-result)
            {
                Remedy = "the process has no room for another mapping: look at its address space limit (RLIMIT_AS) and vm.max_map_count",
            };
        }

        return (ulong)result;
    }

    private static void WriteCode(Tracee task, ulong address)
    {
        ReadOnlySpan<byte> code = task.Architecture.Interpreter, compat = task.Architecture.CompatSyscallInstruction;
        Span<byte> padded = stackalloc byte[Padded(code.Length) + Padded(compat.Length)];
        padded.Clear();
        code.CopyTo(padded);
        compat.CopyTo(padded[Padded(code.Length)..]);
        foreach (ulong word in MemoryMarshal.Cast<byte, ulong>(padded))
        {
            Ptrace.PokeData(task.Tid, address, word);
            address += sizeof(ulong);
        }
    }

    private static int Padded(int length) => (length + sizeof(ulong) - 1) & ~(sizeof(ulong) - 1);
}
