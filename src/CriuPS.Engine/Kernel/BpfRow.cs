using System.Buffers;
using System.Runtime.InteropServices;
using CriuPS.Engine.Errors;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Kernel;

/// <summary>
/// A BPF program for an iterator that copies words of the kernel's memory into a row, one row for each object (instruction set:
/// Documentation/bpf/standardization/instruction-set.rst). The first words of a row come from what the iterator gives; each further one is read at a
/// distance from an address that an earlier word has. What cannot be read is 0.
/// </summary>
internal sealed class BpfRow
{
    // struct bpf_insn: 8 bits of code, 4 of the target register, 4 of the source register, 16 of offset, 32 of a constant.
    private const byte LoadWord = 0x79, LoadHalf = 0x61, StoreWord = 0x7b, Move = 0xbf, MoveConstant = 0xb7, AddConstant = 0x07, Call = 0x85, Exit = 0x95;
    private const byte JumpIfEqual = 0x15, ShiftRight = 0x77, ShiftLeft = 0x67, AddRegister = 0x0f;
    private const int BufferBytes = 64 << 10;
    private const int FrameSize = 512, ProbeReadKernel = 113, SequenceWrite = 127, FramePointer = 10, Context = 6, Object = 7;

    private readonly List<ulong> _code = [];
    private readonly List<int> _toEnd = [];
    private readonly int _words;
    private int _next;

    /// <param name="words">How many words a row has; at most 62.</param>
    public BpfRow(int words)
    {
        _words = words;
        Add(Move, Context, 1);
    }

    /// <summary>Rows about tasks, for the iterator <c>bpf_iter_task</c>.</summary>
    public static BpfRow OfTasks(int words) => new BpfRow(words).Of(KernelTypes.Running.OffsetOf("bpf_iter__task", "task"));

    /// <summary>Rows about open files, for <see cref="RunOnFiles"/>; their first word is the descriptor's number.</summary>
    public static BpfRow OfFiles(int words)
    {
        BpfRow row = new BpfRow(words).Of(KernelTypes.Running.OffsetOf("bpf_iter__task_file", "file"));
        row.FromIterator(KernelTypes.Running.OffsetOf("bpf_iter__task_file", "fd"));
        return row;
    }

    /// <summary>The place of the descriptor's number in rows about open files.</summary>
    public static int Descriptor => 0;

    /// <summary>The rows of all descriptors of a process.</summary>
    /// <inheritdoc cref="Run(string, int)"/>
    public List<ulong[]> RunOnFiles(int pid) => Run("bpf_iter_task_file", pid);

    /// <summary>The row of a descriptor.</summary>
    /// <param name="pid">The process.</param>
    /// <param name="fd">The descriptor's number, which it has.</param>
    /// <exception cref="CriuException">The kernel does not tell, see <see cref="IsUntold"/>.</exception>
    public ulong[] RunOnFile(int pid, int fd) => RunOnFiles(pid).First(row => (int)row[0] == fd);

    /// <summary>Takes an object of the iterator; without it there is no row.</summary>
    /// <param name="offset">Where the iterator has its address.</param>
    public BpfRow Of(int offset)
    {
        Add(LoadWord, Object, Context, offset);
        _toEnd.Add(_code.Count);
        Add(JumpIfEqual, Object);
        return this;
    }

    /// <summary>A word that the iterator has itself.</summary>
    public int FromIterator(int offset) => Store(LoadHalf, Context, offset);

    /// <summary>An address that the iterator has; without it there is no row.</summary>
    public int AddressFromIterator(int offset)
    {
        Add(LoadWord, 3, Context, offset);
        _toEnd.Add(_code.Count);
        Add(JumpIfEqual, 3);
        Add(StoreWord, FramePointer, 3, At(_next));
        return _next++;
    }

    /// <summary>Of a set of bits, the word that has a given one.</summary>
    /// <param name="word">Which word of the row has the address of the set.</param>
    /// <param name="bit">Which word of the row has the bit's number.</param>
    public int FromBits(int word, int bit)
    {
        Add(LoadWord, 3, FramePointer, At(word));
        Add(LoadWord, 4, FramePointer, At(bit));
        Add(ShiftRight, 4, constant: 6);
        Add(ShiftLeft, 4, constant: 3);
        Add(AddRegister, 3, 4);
        return Read(0);
    }

    /// <summary>A word of the object.</summary>
    public int FromObject(int offset)
    {
        // To load it would be checked against the kernel's types, by a search through all their names (kernel/bpf/btf.c, btf_nested_type_is_trusted).
        Add(Move, 3, Object);
        return Read(offset);
    }

    /// <summary>The object's own address.</summary>
    public int ObjectItself()
    {
        Add(StoreWord, FramePointer, Object, At(_next));
        return _next++;
    }

    /// <summary>A word at a distance from an address.</summary>
    /// <param name="word">Which word of the row has the address.</param>
    /// <param name="offset">The distance in bytes.</param>
    public int FromAddress(int word, int offset)
    {
        Add(LoadWord, 3, FramePointer, At(word));
        return Read(offset);
    }

    /// <summary>A word that is known.</summary>
    public int Known(ulong value)
    {
        const byte LoadConstant = 0x18;
        Add(LoadConstant, 3, constant: (int)(uint)value);
        _code.Add((value >> 32) << 32);
        Add(StoreWord, FramePointer, 3, At(_next));
        return _next++;
    }

    /// <summary>The rows of all objects of a process.</summary>
    /// <param name="iterator">The iterator's function.</param>
    /// <param name="pid">The process.</param>
    /// <exception cref="CriuException">The kernel does not tell, see <see cref="IsUntold"/>.</exception>
    public List<ulong[]> Run(string iterator, int pid)
    {
        using SafeFileHandle program = Load(iterator);
        return Run(program, pid);
    }

    /// <summary>Loads the program, to <see cref="Run(SafeFileHandle, int)"/> it later.</summary>
    /// <inheritdoc cref="Run(string, int)"/>
    public SafeFileHandle Load(string iterator) => Bpf.Load(Finish(), KernelTypes.Running.Function(iterator));

    /// <summary>The rows of all objects of a process, by the program that was loaded.</summary>
    /// <param name="program">What <see cref="Load"/> gave.</param>
    /// <param name="pid">The process; 0 for all.</param>
    /// <exception cref="CriuException">The kernel does not tell, see <see cref="IsUntold"/>.</exception>
    public List<ulong[]> Run(SafeFileHandle program, int pid)
    {
        List<ulong[]> rows = [];
        Run(program, pid, words => rows.Add(words.ToArray()));
        return rows;
    }

    /// <summary>Takes a row.</summary>
    /// <param name="words">Its words, which are gone afterwards.</param>
    public delegate void RowTaker(ReadOnlySpan<ulong> words);

    /// <summary>Gives the rows of all objects of a process one after the other.</summary>
    /// <inheritdoc cref="Run(SafeFileHandle, int)"/>
    public void Run(SafeFileHandle program, int pid, RowTaker take)
    {
        using SafeFileHandle rows = Bpf.Begin(program, pid);
        byte[] buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
        try
        {
            int size = _words * sizeof(ulong), kept = 0;
            for (int count; (count = (int)Syscall.Check(FileRead.Read(rows, buffer.AsSpan(kept)), "read")) > 0;)
            {
                int length = kept + count, at = 0;
                for (; at + size <= length; at += size)
                {
                    take(MemoryMarshal.Cast<byte, ulong>(buffer.AsSpan(at, size)));
                }

                buffer.AsSpan(at, kept = length - at).CopyTo(buffer);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>Whether the reason is that this kernel, or our privileges, do not allow such questions.</summary>
    public static bool IsUntold(CriuException e) =>
        e is KernelException { Errno: Errno.EPERM or Errno.EACCES or Errno.EINVAL or Errno.ENOSYS } || e.Id == KernelTypes.Unknown;

    private ulong[] Finish()
    {
        if (_next > _words)
        {
            throw new InvalidOperationException($"a row of {_words} words is given {_next}");
        }

        for (; _next < _words; _next++)
        {
            Add(MoveConstant, 3);
            Add(StoreWord, FramePointer, 3, At(_next));
        }

        // seq_write(context->meta->seq, row, size)
        Add(LoadWord, 1, Context, 0);
        Add(LoadWord, 1, 1, 0);
        Add(Move, 2, FramePointer);
        Add(AddConstant, 2, constant: At(0));
        Add(MoveConstant, 3, constant: _words * sizeof(ulong));
        Add(Call, constant: SequenceWrite);
        foreach (int jump in _toEnd)
        {
            _code[jump] |= (ulong)(ushort)(_code.Count - jump - 1) << 16;
        }

        Add(MoveConstant, 0);
        Add(Exit);
        return [.. _code];
    }

    private int Store(byte load, int from, int offset)
    {
        Add(load, 3, from, offset);
        Add(StoreWord, FramePointer, 3, At(_next));
        return _next++;
    }

    // Register 3 has the address.
    private int Read(int offset)
    {
        Add(Move, 1, FramePointer);
        Add(AddConstant, 1, constant: At(_next));
        Add(MoveConstant, 2, constant: sizeof(ulong));
        Add(AddConstant, 3, constant: offset);
        Add(Call, constant: ProbeReadKernel);
        return _next++;
    }

    private int At(int word) => word * sizeof(ulong) - FrameSize;

    private void Add(byte code, int target = 0, int source = 0, int offset = 0, int constant = 0) =>
        _code.Add(code | ((ulong)target << 8) | ((ulong)source << 12) | ((ulong)(ushort)(short)offset << 16) | ((ulong)(uint)constant << 32));
}
