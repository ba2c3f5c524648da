using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using CriuPS.Engine.Errors;

namespace CriuPS.Engine.Kernel;

/// <summary>
/// task_struct.restart_block of all tasks: what an interrupted wait is to be continued with. Nothing in /proc or ptrace tells it; a BPF program does that goes
/// through the tasks (kernel/bpf/task_iter.c) and finds its way by the kernel's own description of its types.
/// </summary>
internal sealed class RestartBlocks
{
    /// <summary>PROC_PID_INIT_INO of include/linux/proc_ns.h.</summary>
    private const ulong FirstPidNamespace = 0xeffffffc;

    private const int bpf_probe_read_kernel = 113, bpf_seq_printf = 126;
    private const byte LoadWord = 0x61, LoadLong = 0x79, StoreLong = 0x7b, LoadConstant = 0x18, Copy = 0xbf, Set = 0xb7, Add = 0x07;
    private const byte JumpIfEqual = 0x15, CallHelper = 0x85, Exit = 0x95;

    // Registers that a helper's call leaves alone, and the one of the stack.
    private const int Context = 6, Task = 7, Sequence = 8, Stack = 10;

    private readonly Dictionary<int, Block> _byTid;

    private RestartBlocks(Dictionary<int, Block> byTid) => _byTid = byTid;

    /// <summary>The block of one task.</summary>
    /// <param name="Function">The kernel's function that continues the call.</param>
    /// <param name="Words">The union of the block.</param>
    /// <param name="Layout">Where things lie in it.</param>
    public readonly record struct Block(string Function, byte[] Words, Layout Layout)
    {
        public int Clock => BinaryPrimitives.ReadInt32LittleEndian(Words.AsSpan(Layout.NanosleepClock));

        public long NanosleepExpires => BinaryPrimitives.ReadInt64LittleEndian(Words.AsSpan(Layout.NanosleepExpires));

        public ulong NanosleepRest => BinaryPrimitives.ReadUInt64LittleEndian(Words.AsSpan(Layout.NanosleepRest));

        public long FutexTime => BinaryPrimitives.ReadInt64LittleEndian(Words.AsSpan(Layout.FutexTime));

        public bool PollHasTimeout => BinaryPrimitives.ReadInt32LittleEndian(Words.AsSpan(Layout.PollHasTimeout)) != 0;

        public long PollExpires =>
            BinaryPrimitives.ReadInt64LittleEndian(Words.AsSpan(Layout.PollSeconds)) * 1_000_000_000
            + BinaryPrimitives.ReadInt64LittleEndian(Words.AsSpan(Layout.PollNanoseconds));
    }

    /// <summary>Offsets into the union of a block, in bytes.</summary>
    public readonly record struct Layout(
        int NanosleepClock, int NanosleepRest, int NanosleepExpires, int FutexTime, int PollHasTimeout, int PollSeconds, int PollNanoseconds);

    /// <summary>Whether this process lives in the machine's first pid namespace, with whose numbers iterators tell tasks.</summary>
    public static bool IsFirstPidNamespace => FileStatus.TryOf("/proc/self/ns/pid", out FileStatus.stat space, out _) && space.st_ino == FirstPidNamespace;

    /// <summary>Reads the blocks of all tasks of the machine; null where the kernel does not describe its types, or the caller may not run BPF programs.</summary>
    public static RestartBlocks? TryRead()
    {
        try
        {
            return IsFirstPidNamespace ? Read() : null;
        }
        catch (CriuException)
        {
            return null;
        }
    }

    private static RestartBlocks Read()
    {
        KernelTypes types = KernelTypes.Running;
        int block = types.OffsetOf("task_struct", "restart_block"), function = types.OffsetOf("restart_block", "fn");
        int union = types.OffsetOf("restart_block", "nanosleep");
        int words = (types.SizeOf("restart_block") - union) / sizeof(ulong);
        byte[] text = Bpf.Iterate(
            Program(types.OffsetOf("task_struct", "pid"), block + function, block + union, words), types.Function("bpf_iter_task"));
        int In(params ReadOnlySpan<string> members) => types.OffsetOf("restart_block", members) - union;
        Layout layout = new(
            In("nanosleep", "clockid"), In("nanosleep", "rmtp"), In("nanosleep", "expires"), In("futex", "time"), In("poll", "has_timeout"),
            In("poll", "tv_sec"), In("poll", "tv_nsec"));
        return new RestartBlocks(Encoding.ASCII.GetString(text).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => Parse(line, layout))
            .DistinctBy(b => b.Tid).ToDictionary(b => b.Tid, b => b.Block));
    }

    /// <summary>The block of a task; null if there is no such task.</summary>
    public Block? Of(int tid) => _byTid.TryGetValue(tid, out Block block) ? block : null;

    // tid, the function's symbol, the words of the union.
    private static (int Tid, Block Block) Parse(string line, Layout layout)
    {
        string[] fields = line.Split(' ');
        byte[] words = new byte[(fields.Length - 2) * sizeof(ulong)];
        for (int i = 2; i < fields.Length; i++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(words.AsSpan((i - 2) * sizeof(ulong)), ulong.Parse(fields[i], NumberStyles.HexNumber));
        }

        return (int.Parse(fields[0]), new Block(fields[1], words, layout));
    }

    // For each task: reads number, function and union to the stack, and writes them as a line of text.
    private static ulong[] Program(int tid, int function, int union, int words)
    {
        byte[] format = Encoding.ASCII.GetBytes("%d %ps" + string.Concat(Enumerable.Repeat(" %llx", words)) + "\n\0");
        Array.Resize(ref format, (format.Length + 7) & ~7);
        int data = (2 + words) * sizeof(ulong), formatAt = -format.Length, dataAt = formatAt - data;
        List<ulong> code =
        [
            Op(Copy, Context, 1), Op(LoadLong, Task, Context, 8), Op(LoadLong, Sequence, Context, 0), Op(LoadLong, Sequence, Sequence, 0),
        ];
        int skip = code.Count;
        for (int i = 0; i < format.Length; i += sizeof(ulong))
        {
            ulong chunk = BinaryPrimitives.ReadUInt64LittleEndian(format.AsSpan(i));
            code.AddRange([Op(LoadConstant, 1, 0, 0, (int)chunk), chunk >> 32 << 32, Op(StoreLong, Stack, 1, formatAt + i)]);
        }

        code.AddRange([Op(LoadWord, 1, Task, tid), Op(StoreLong, Stack, 1, dataAt)]);
        code.AddRange(ReadKernel(dataAt + 8, sizeof(ulong), function));
        code.AddRange(ReadKernel(dataAt + 16, words * sizeof(ulong), union));
        code.AddRange([Op(Copy, 1, Sequence), Op(Copy, 2, Stack), Op(Add, 2, 0, 0, formatAt), Op(Set, 3, 0, 0, format.Length)]);
        code.AddRange([Op(Copy, 4, Stack), Op(Add, 4, 0, 0, dataAt), Op(Set, 5, 0, 0, data), Op(CallHelper, 0, 0, 0, bpf_seq_printf)]);

        // After the last task comes a call without one.
        code.Insert(skip, Op(JumpIfEqual, Task, 0, code.Count - skip));
        code.AddRange([Op(Set, 0), Op(Exit, 0)]);
        return [.. code];
    }

    private static ulong[] ReadKernel(int to, int size, int from) =>
    [
        Op(Copy, 1, Stack), Op(Add, 1, 0, 0, to), Op(Set, 2, 0, 0, size), Op(Copy, 3, Task), Op(Add, 3, 0, 0, from), Op(CallHelper, 0, 0, 0, bpf_probe_read_kernel),
    ];

    // struct bpf_insn: code, two registers, offset, constant.
    private static ulong Op(byte code, int target, int source = 0, int offset = 0, int constant = 0) =>
        code | (ulong)target << 8 | (ulong)source << 12 | (ulong)(ushort)offset << 16 | (ulong)(uint)constant << 32;
}
