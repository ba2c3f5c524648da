using System.Runtime.InteropServices;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Compel;

/// <summary>
/// Memory of ours inside another process: a page with the interpreter, and behind it data. A process may deny memory that can be written and executed
/// (PR_SET_MDWE, a security module); then the page cannot be written, and is filled by ptrace, and the rest cannot be executed.
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
        const int Private = Memory.MAP_PRIVATE | Memory.MAP_ANONYMOUS, ReadWrite = Memory.PROT_READ | Memory.PROT_WRITE;
        ulong size = SizeFor(dataSize);
        long result = await CallMapAsync(task, syscallAt, address, size, ReadWrite | Memory.PROT_EXEC, Private | fixedFlag);
        if (!Syscall.IsError(result))
        {
            ProcessVm.Write(task.Pid, (ulong)result, Code(task.Architecture));
            return new Arena((ulong)result, dataSize, task.Architecture);
        }

        ulong start = await MapAsync(task, syscallAt, address, size, ReadWrite, Private | fixedFlag);
        try
        {
            await MapAsync(task, syscallAt, start, CodeSize, Memory.PROT_READ | Memory.PROT_EXEC, Private | Memory.MAP_FIXED);
            PokeCode(task, start);
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
        long result = await CallMapAsync(task, syscallAt, address, size, protection, flags);
        if (Syscall.IsError(result))
        {
            throw new RemoteCallException(task.Pid, $"mmap of {size} bytes for the parasite", (int)-result)
            {
                Remedy = "the process has no room for another mapping: look at its address space limit (RLIMIT_AS) and vm.max_map_count",
            };
        }

        return (ulong)result;
    }

    private static ValueTask<long> CallMapAsync(Tracee task, ulong syscallAt, ulong address, ulong size, int protection, int flags) =>
        task.RunSyscallAsync(syscallAt, SyscallNumber.mmap, address, size, (ulong)protection, (ulong)flags, ulong.MaxValue, 0);

    private static byte[] Code(IArchitecture architecture)
    {
        ReadOnlySpan<byte> code = architecture.Interpreter, compat = architecture.CompatSyscallInstruction;
        byte[] padded = new byte[Padded(code.Length) + Padded(compat.Length)];
        code.CopyTo(padded);
        compat.CopyTo(padded.AsSpan(Padded(code.Length)));
        return padded;
    }

    private static void PokeCode(Tracee task, ulong address)
    {
        foreach (ulong word in MemoryMarshal.Cast<byte, ulong>(Code(task.Architecture)))
        {
            Ptrace.PokeData(task.Tid, address, word);
            address += sizeof(ulong);
        }
    }

    private static int Padded(int length) => (length + sizeof(ulong) - 1) & ~(sizeof(ulong) - 1);
}
