using System.Collections.Concurrent;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Compel;

/// <summary>
/// How a task comes home if we die while it runs single system calls of ours, before the interpreter is there and after it is gone. The calls are made where a
/// return follows the syscall instruction, and the stack pointer stands on a signal frame of the task's own state, whose first word leads to the code of
/// the C library that makes rt_sigreturn(2): a task that nobody stops after the call returns into its old life. The frame lies at
/// the far end of the process's stack, which nobody uses, and what was there is put back.
/// </summary>
internal sealed class WayHome
{
    // What a function may have below the stack pointer (System V ABI for x86-64, 3.2.2) is less.
    private const ulong Distance = 4096;
    private const ulong LargestSearch = 8 << 20;

    // Where in a mapped file the code is: the same for all processes that map it.
    private static readonly ConcurrentDictionary<(uint Major, uint Minor, ulong Inode, ulong Offset), (int Call, int Return)> s_known = new();

    private readonly int _pid;
    private readonly ulong _at;
    private readonly byte[] _frame;
    private readonly byte[] _before;

    private WayHome(Tracee task, ulong at, (ulong Call, ulong Return) code)
    {
        (_pid, _at, SyscallAt) = (task.Pid, at, code.Call);
        _frame = new byte[Size(task)];
        _before = new byte[_frame.Length];
        Stack = task.Architecture.BuildReturnFrame(_frame, at, code.Return, task.Original!);
    }

    /// <summary>Where a syscall instruction is with a return behind it.</summary>
    public ulong SyscallAt { get; }

    /// <summary>What the stack pointer must be during each call.</summary>
    public ulong Stack { get; }

    /// <summary>Finds the way for a stopped task; null in a 32-bit program, in a process without the code for it, or without room on its stack.</summary>
    public static WayHome? Find(Tracee task, IReadOnlyList<Vma> mappings)
    {
        if (task.IsCompat)
        {
            return null;
        }

        Vma stack = mappings.FirstOrDefault(vma => vma.Path.Bytes.SequenceEqual("[stack]"u8));
        ulong pointer = task.Architecture.StackPointer(task.Original!.General);
        ulong used = pointer >= stack.Start && pointer < stack.End ? pointer : stack.End;
        bool fits = stack.Protection.HasFlag(VmaProtection.Read | VmaProtection.Write) && stack.Start + (ulong)Size(task) + Distance <= used;
        return fits && Code(task, mappings) is { } code ? new WayHome(task, stack.Start, code) : null;
    }

    /// <summary>Puts the frame in its place.</summary>
    public void Lay()
    {
        ProcessVm.Read(_pid, _at, _before);
        ProcessVm.Write(_pid, _at, _frame);
    }

    /// <summary>Puts back what was in its place.</summary>
    public void Remove() => ProcessVm.Write(_pid, _at, _before);

    private static int Size(Tracee task) => task.Architecture.ReturnFrameSize(task.Original!.Extended.Length);

    private static (ulong Call, ulong Return)? Code(Tracee task, IReadOnlyList<Vma> mappings)
    {
        foreach (Vma vma in mappings)
        {
            if (!vma.HasFile || !vma.Protection.HasFlag(VmaProtection.Read | VmaProtection.Execute) || vma.Length > LargestSearch)
            {
                continue;
            }

            var key = (vma.DeviceMajor, vma.DeviceMinor, vma.Inode, vma.Offset);
            if (!s_known.TryGetValue(key, out (int Call, int Return) at) || !IsThere(task, vma, at))
            {
                at = s_known[key] = Search(task, vma);
            }

            if (at is { Call: >= 0, Return: >= 0 })
            {
                return (vma.Start + (ulong)at.Call, vma.Start + (ulong)at.Return);
            }
        }

        return null;
    }

    private static (int Call, int Return) Search(Tracee task, Vma vma)
    {
        byte[] code = new byte[vma.Length];
        return ProcessVm.TryRead(task.Pid, vma.Start, code)
            ? (code.AsSpan().IndexOf(task.Architecture.SyscallAndReturn), code.AsSpan().IndexOf(task.Architecture.SignalReturn))
            : (-1, -1);
    }

    // What was found in one process is looked at in another: it may map less of the file, or have written there.
    private static bool IsThere(Tracee task, Vma vma, (int Call, int Return) at) =>
        at is { Call: < 0 } or { Return: < 0 } || (Holds(task, vma, at.Call, task.Architecture.SyscallAndReturn) && Holds(task, vma, at.Return, task.Architecture.SignalReturn));

    private static bool Holds(Tracee task, Vma vma, int offset, ReadOnlySpan<byte> code)
    {
        Span<byte> there = stackalloc byte[code.Length];
        return (ulong)(offset + code.Length) <= vma.Length && ProcessVm.TryRead(task.Pid, vma.Start + (ulong)offset, there) && there.SequenceEqual(code);
    }
}
