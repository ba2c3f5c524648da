using System.Buffers;
using System.Runtime.InteropServices;

namespace CriuPS.Engine.Compel;

/// <summary>An argument of an operation: a constant, a value that an earlier operation leaves in memory, or a descriptor that was sent.</summary>
internal readonly struct Argument
{
    /// <summary>Argument kinds: two bits each in the operation's flags.</summary>
    public const ulong Constant = 0, WordAt = 1, Int32At = 2;

    private readonly RemoteDescriptor? _descriptor;

    private Argument(ulong value, ulong kind) => (Value, Kind) = (value, kind);

    private Argument(RemoteDescriptor descriptor) => _descriptor = descriptor;

    public ulong Value { get; }

    public ulong Kind { get; }

    public static implicit operator Argument(ulong value) => new(value, Constant);

    public static implicit operator Argument(long value) => new((ulong)value, Constant);

    public static implicit operator Argument(uint value) => new(value, Constant);

    public static implicit operator Argument(int value) => new((ulong)value, Constant);

    /// <summary>The result of an earlier operation of the same program.</summary>
    public static implicit operator Argument(Operation operation) => new(operation.ResultAddress, WordAt);

    /// <summary>The number of a descriptor, wherever it is when the operation is added.</summary>
    public static implicit operator Argument(RemoteDescriptor descriptor) => new(descriptor);

    /// <summary>What it is for the program that is being made.</summary>
    public Argument Now => _descriptor?.Number ?? this;

    /// <summary>The 32-bit number that will be at an address of the target, e.g. a descriptor that socketpair stored.</summary>
    public static Argument Int32(ulong address) => new(address, Int32At);
}

/// <summary>What an operation is about that is one of thousands: they need no text as long as none fails.</summary>
internal sealed record CallOfDescriptor(string Call, int Number)
{
    public override string ToString() => $"{Call} fd {Number}";
}

/// <summary>An operation of a program.</summary>
/// <param name="Index">Its place in the program.</param>
/// <param name="ResultAddress">Where its result will be in the target.</param>
internal readonly record struct Operation(int Index, ulong ResultAddress);

/// <summary>
/// An array of system calls that the interpreter runs inside a task. It is built here and lives at a given address of the target:
/// header and operations grow from its start, their data (paths, structures, room for answers) from its end.
/// </summary>
/// <remarks>
/// All numbers are 64 bits wide. Header: count, index of the next operation, status, frame, tail, failed index. Operation: number, flags, six
/// arguments, result. Flags: two bits an argument (<see cref="Argument"/>), then one bit "an error is an answer". An error of another
/// operation sets status 2, notes the index and goes on at <c>tail</c>. At the end status gets bit 0; then, if there is a
/// frame, sigreturn takes the task back to it, else the task runs into a breakpoint.
/// </remarks>
internal sealed class SyscallProgram
{
    public const int CountOffset = 0, IndexOffset = 8, StatusOffset = 16, FrameOffset = 24, TailOffset = 32, FailedOffset = 40, HeaderSize = 48;
    public const int NumberOffset = 0, FlagsOffset = 8, ArgumentsOffset = 16, ResultOffset = 64, OperationSize = 72;
    public const ulong StatusDone = 1, StatusFailed = 2;

    private const int ArgumentCount = 6, UsualCount = 32;
    private const ulong ErrorIsAnswer = 1UL << (2 * ArgumentCount);

    private readonly int _capacity;
    private readonly byte[]? _own;
    private readonly List<object> _subjects = new(UsualCount);
    private byte[]? _rented;
    private int _bottom;
    private int? _tail;

    /// <param name="address">Where the program will be in the target, 16-byte aligned.</param>
    /// <param name="capacity">How many bytes there are.</param>
    public SyscallProgram(ulong address, int capacity)
    {
        Address = address;
        _capacity = capacity;
        _bottom = capacity;
    }

    private SyscallProgram(byte[] pinned)
        : this((ulong)Marshal.UnsafeAddrOfPinnedArrayElement(pinned, 0), pinned.Length) => _own = pinned;

    /// <summary>A program that lies in this process, for <see cref="RunHere"/>.</summary>
    /// <param name="capacity">How many bytes there are.</param>
    public static SyscallProgram OfThisProcess(int capacity) => new(GC.AllocateUninitializedArray<byte>(capacity, pinned: true));

    public ulong Address { get; }

    public int Count => _subjects.Count;

    /// <summary>The signal frame to return to at the end, 0 for a breakpoint.</summary>
    public ulong Frame { get; set; }

    /// <summary>Whether so many more operations and bytes of data fit; data is counted with its alignment.</summary>
    public bool Fits(int operations, int bytes) => Top + operations * OperationSize + bytes + 64 <= _bottom;

    /// <summary>Makes the program empty again; until the next operation comes it takes no memory of ours.</summary>
    public void Clear()
    {
        _subjects.Clear();
        _bottom = _capacity;
        _tail = null;
        if (_rented is not null)
        {
            ArrayPool<byte>.Shared.Return(_rented);
            _rented = null;
        }
    }

    /// <summary>Adds an operation whose failure ends the program.</summary>
    /// <param name="subject">What it is about, for the error; its text is only made when it fails.</param>
    /// <param name="number">The system call.</param>
    /// <param name="arguments">At most six.</param>
    public Operation Add(object subject, int number, params ReadOnlySpan<Argument> arguments) => Append(subject, number, 0, arguments);

    /// <summary>Adds an operation whose error is an answer: the program goes on.</summary>
    public Operation Try(object subject, int number, params ReadOnlySpan<Argument> arguments) => Append(subject, number, ErrorIsAnswer, arguments);

    /// <summary>Adds the two operations that put a descriptor in another place.</summary>
    /// <param name="from">Its number, another one than it gets.</param>
    /// <param name="to">The number that it gets.</param>
    /// <param name="closeOnExec">Whether execve(2) closes it.</param>
    public void AddMove(Argument from, int to, bool closeOnExec)
    {
        AddCopy(from, to, closeOnExec);
        Add("close", Kernel.SyscallNumber.close, from);
    }

    /// <summary>Adds what brings a descriptor that does not close on exec to its place, which it may have already: at most two operations.</summary>
    /// <param name="from">Its number.</param>
    /// <param name="to">The number that it gets.</param>
    /// <param name="closeOnExec">Whether execve(2) closes it there.</param>
    /// <param name="closes">Whether the old number is closed; another file may take it at once.</param>
    public void AddPlacing(int from, int to, bool closeOnExec, bool closes = true)
    {
        if (from != to && closes)
        {
            AddMove(from, to, closeOnExec);
        }
        else if (from != to)
        {
            AddCopy(from, to, closeOnExec);
        }
        else if (closeOnExec)
        {
            Add(new CallOfDescriptor("fcntl(F_SETFD) of", from), Kernel.SyscallNumber.fcntl, from, Kernel.Fcntl.F_SETFD, Kernel.Fcntl.FD_CLOEXEC);
        }
    }

    private void AddCopy(Argument from, int to, bool closeOnExec) =>
        Add(new CallOfDescriptor("dup3 to", to), Kernel.SyscallNumber.dup3, from, to, closeOnExec ? Kernel.Fcntl.O_CLOEXEC : 0);

    /// <summary>From here on come the operations that run even when an earlier one failed.</summary>
    public void BeginTail() => _tail = Count;

    /// <summary>Puts data beside the program; the result is its address in the target.</summary>
    public ulong Put(ReadOnlySpan<byte> data, int alignment = 8)
    {
        ulong address = Reserve(data.Length, alignment);
        data.CopyTo(Bytes.Span[(int)(address - Address)..]);
        return address;
    }

    /// <summary>Puts a structure beside the program; the result is its address in the target.</summary>
    public ulong Put<T>(in T value) where T : unmanaged => Put(MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value)));

    /// <summary>Keeps zeroed room for an answer; the result is its address in the target.</summary>
    public ulong Reserve(int size, int alignment = 8)
    {
        ulong end = Address + (ulong)(_bottom - size);
        int bottom = (int)(end / (ulong)alignment * (ulong)alignment - Address);
        if (bottom < Top)
        {
            throw new InvalidOperationException("the syscall program is full");
        }

        Bytes.Span[bottom.._bottom].Clear();
        _bottom = bottom;
        return Address + (ulong)bottom;
    }

    /// <summary>Fills a room that was reserved.</summary>
    public Span<byte> At(ulong address, int size) => Bytes.Span.Slice((int)(address - Address), size);

    /// <summary>Writes the program into the target.</summary>
    public void Store(int pid)
    {
        Begin();
        Kernel.ProcessVm.Write(pid, Address, Bytes.Span[..Top]);
        if (_bottom < _capacity)
        {
            Kernel.ProcessVm.Write(pid, Address + (ulong)_bottom, Bytes.Span[_bottom..]);
        }
    }

    /// <summary>Makes the header say that nothing has run yet.</summary>
    public void Begin()
    {
        Header(CountOffset, (ulong)Count);
        Header(IndexOffset, 0);
        Header(StatusOffset, 0);
        Header(FrameOffset, Frame);
        Header(TailOffset, (ulong)(_tail ?? Count));
        Header(FailedOffset, 0);
    }

    /// <summary>Adds what the program consists of, for writing or reading several programs together.</summary>
    public void AddPieces(List<Kernel.MemoryPiece> pieces)
    {
        pieces.Add(new Kernel.MemoryPiece(Address, Bytes[..Top]));
        if (_bottom < _capacity)
        {
            pieces.Add(new Kernel.MemoryPiece(Address + (ulong)_bottom, Bytes[_bottom..]));
        }
    }

    /// <summary>The word that counts the operations which are done.</summary>
    public Kernel.MemoryPiece Progress => new(Address + IndexOffset, Bytes.Slice(IndexOffset, sizeof(ulong)));

    /// <summary>How many operations were done when <see cref="Progress"/> was read last.</summary>
    public int Done => (int)Header(IndexOffset);

    /// <summary>Reads back results and data after a run, and throws if an operation failed.</summary>
    /// <exception cref="RemoteCallException">An operation failed whose error is not an answer.</exception>
    public void Load(int pid)
    {
        Fetch(pid);
        ThrowIfFailed(pid);
    }

    /// <summary>Reads back results and data after a run, whatever came of it.</summary>
    public void Fetch(int pid)
    {
        Kernel.ProcessVm.Read(pid, Address, Bytes.Span[..Top]);
        if (_bottom < _capacity)
        {
            Kernel.ProcessVm.Read(pid, Address + (ulong)_bottom, Bytes.Span[_bottom..]);
        }
    }

    /// <summary>Reads back only the header, and throws if an operation failed.</summary>
    public void LoadStatus(int pid)
    {
        Kernel.ProcessVm.Read(pid, Address, Bytes.Span[..HeaderSize]);
        if ((Header(StatusOffset) & StatusFailed) != 0)
        {
            Load(pid);
        }
    }

    /// <summary>Makes the calls in this thread.</summary>
    /// <exception cref="Errors.KernelException">One failed whose error is not an answer; those after it were not made.</exception>
    public void RunHere()
    {
        Span<long> arguments = stackalloc long[ArgumentCount];
        for (int i = 0; i < Count; i++)
        {
            Span<ulong> words = MemoryMarshal.Cast<byte, ulong>(Bytes.Span.Slice(At(i), OperationSize));
            ulong flags = words[FlagsOffset / 8];
            for (int k = 0; k < ArgumentCount; k++)
            {
                arguments[k] = ValueOf(words[ArgumentsOffset / 8 + k], (flags >> (2 * k)) & 3);
            }

            long result = Kernel.Syscall.Invoke((long)words[NumberOffset / 8], arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
            words[ResultOffset / 8] = (ulong)result;
            if (Kernel.Syscall.IsError(result) && (flags & ErrorIsAnswer) == 0)
            {
                throw new Errors.KernelException(_subjects[i].ToString() ?? "", (int)-result);
            }
        }
    }

    private long ValueOf(ulong value, ulong kind) => kind switch
    {
        Argument.WordAt => Read<long>(value),
        Argument.Int32At => Read<int>(value),
        _ => (long)value,
    };

    /// <summary>The result of an operation, after <see cref="Load"/>.</summary>
    public long Result(Operation operation) => MemoryMarshal.Read<long>(Bytes.Span[(At(operation.Index) + ResultOffset)..]);

    /// <summary>A structure that an operation left in reserved room, after <see cref="Load"/>.</summary>
    public T Read<T>(ulong address) where T : unmanaged => MemoryMarshal.Read<T>(Bytes.Span[(int)(address - Address)..]);

    private Memory<byte> Bytes => (_own ?? (_rented ??= ArrayPool<byte>.Shared.Rent(_capacity))).AsMemory(0, _capacity);

    private int Top => HeaderSize + Count * OperationSize;

    private static int At(int index) => HeaderSize + index * OperationSize;

    private Operation Append(object subject, int number, ulong flags, ReadOnlySpan<Argument> arguments)
    {
        int at = Top;
        if (at + OperationSize > _bottom || arguments.Length > ArgumentCount)
        {
            throw new InvalidOperationException("the syscall program is full");
        }

        Span<ulong> words = MemoryMarshal.Cast<byte, ulong>(Bytes.Span.Slice(at, OperationSize));
        words.Clear();
        words[NumberOffset / 8] = (ulong)number;
        for (int i = 0; i < arguments.Length; i++)
        {
            Argument argument = arguments[i].Now;
            flags |= argument.Kind << (2 * i);
            words[ArgumentsOffset / 8 + i] = argument.Value;
        }

        words[FlagsOffset / 8] = flags;
        _subjects.Add(subject);
        return new Operation(Count - 1, Address + (ulong)(at + ResultOffset));
    }

    /// <summary>Throws if an operation failed whose error is not an answer, after a run whose results were read.</summary>
    /// <exception cref="RemoteCallException">Names the operation.</exception>
    public void ThrowIfFailed(int pid)
    {
        if ((Header(StatusOffset) & StatusFailed) == 0)
        {
            return;
        }

        int failed = (int)Header(FailedOffset);
        long result = Result(new Operation(failed, 0));
        throw new RemoteCallException(pid, _subjects[failed].ToString() ?? "", (int)-result);
    }

    private void Header(int offset, ulong value) => MemoryMarshal.Write(Bytes.Span[offset..], value);

    private ulong Header(int offset) => MemoryMarshal.Read<ulong>(Bytes.Span[offset..]);
}
