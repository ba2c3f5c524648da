namespace CriuPS.Engine.Proc;

/// <summary>
/// /proc/PID/stat, all 52 fields of proc_pid_stat(5). Times are in clock ticks (1/100 s); addresses are 0 for readers who may not trace
/// the process.
/// </summary>
public sealed record ProcStat
{
    private const int FieldCount = 52;
    private const int FirstNumber = 4;

    /// <summary>Field 1.</summary>
    public required int Pid { get; init; }

    /// <summary>Field 2, without its parentheses; it may itself hold parentheses, spaces and newlines.</summary>
    public required OsText Comm { get; init; }

    /// <summary>Field 3: R running, S sleeping, D disk sleep, T stopped, t tracing stop, Z zombie, X dead, I idle.</summary>
    public required char State { get; init; }

    /// <summary>Field 4; 0 for a process whose parent is outside the reader's pid namespace.</summary>
    public required int ParentPid { get; init; }

    /// <summary>Field 5.</summary>
    public required int ProcessGroup { get; init; }

    /// <summary>Field 6.</summary>
    public required int Session { get; init; }

    /// <summary>Field 7: the controlling terminal's device number, 0 for none.</summary>
    public required int TerminalDevice { get; init; }

    /// <summary>Field 8: foreground process group of the controlling terminal, -1 for none.</summary>
    public required int TerminalForegroundGroup { get; init; }

    /// <summary>Field 9: PF_* flags (include/linux/sched.h).</summary>
    public required uint Flags { get; init; }

    /// <summary>Field 10.</summary>
    public required ulong MinorFaults { get; init; }

    /// <summary>Field 11.</summary>
    public required ulong ChildrenMinorFaults { get; init; }

    /// <summary>Field 12.</summary>
    public required ulong MajorFaults { get; init; }

    /// <summary>Field 13.</summary>
    public required ulong ChildrenMajorFaults { get; init; }

    /// <summary>Field 14, clock ticks.</summary>
    public required ulong UserTime { get; init; }

    /// <summary>Field 15, clock ticks.</summary>
    public required ulong SystemTime { get; init; }

    /// <summary>Field 16, clock ticks.</summary>
    public required long ChildrenUserTime { get; init; }

    /// <summary>Field 17, clock ticks.</summary>
    public required long ChildrenSystemTime { get; init; }

    /// <summary>Field 18.</summary>
    public required int Priority { get; init; }

    /// <summary>Field 19: -20 to 19.</summary>
    public required int Nice { get; init; }

    /// <summary>Field 20.</summary>
    public required int Threads { get; init; }

    /// <summary>Field 21: always 0 since Linux 2.6.17.</summary>
    public required long IntervalTimer { get; init; }

    /// <summary>Field 22: clock ticks since boot.</summary>
    public required ulong StartTime { get; init; }

    /// <summary>Field 23, bytes.</summary>
    public required ulong VirtualSize { get; init; }

    /// <summary>Field 24, pages; inexact, as <see cref="ProcStatus.ResidentSize"/> is.</summary>
    public required long ResidentPages { get; init; }

    /// <summary>Field 25, bytes; <see cref="ulong.MaxValue"/> for no limit.</summary>
    public required ulong ResidentLimit { get; init; }

    /// <summary>Field 26: mm_struct.start_code.</summary>
    public required ulong StartCode { get; init; }

    /// <summary>Field 27: mm_struct.end_code.</summary>
    public required ulong EndCode { get; init; }

    /// <summary>Field 28: mm_struct.start_stack.</summary>
    public required ulong StartStack { get; init; }

    /// <summary>Field 29: 0 unless the process is exiting or dumping core.</summary>
    public required ulong StackPointer { get; init; }

    /// <summary>Field 30: 0 unless the process is exiting or dumping core.</summary>
    public required ulong InstructionPointer { get; init; }

    /// <summary>Field 31: pending signals, the first 31 only; use <see cref="ProcStatus"/>.</summary>
    public required ulong Signal { get; init; }

    /// <summary>Field 32: see <see cref="Signal"/>.</summary>
    public required ulong Blocked { get; init; }

    /// <summary>Field 33: see <see cref="Signal"/>.</summary>
    public required ulong SignalsIgnored { get; init; }

    /// <summary>Field 34: see <see cref="Signal"/>.</summary>
    public required ulong SignalsCaught { get; init; }

    /// <summary>Field 35: 1 for a task that waits in the kernel, else 0.</summary>
    public required ulong WaitChannel { get; init; }

    /// <summary>Field 36: always 0.</summary>
    public required ulong Swapped { get; init; }

    /// <summary>Field 37: always 0.</summary>
    public required ulong ChildrenSwapped { get; init; }

    /// <summary>Field 38: the signal that the parent gets; -1 for a thread that is no leader.</summary>
    public required int ExitSignal { get; init; }

    /// <summary>Field 39: the processor it ran on last.</summary>
    public required int Processor { get; init; }

    /// <summary>Field 40: 1 to 99 for real-time policies, else 0.</summary>
    public required uint RealTimePriority { get; init; }

    /// <summary>Field 41: SCHED_* of include/uapi/linux/sched.h.</summary>
    public required uint Policy { get; init; }

    /// <summary>Field 42, clock ticks.</summary>
    public required ulong BlockIoDelay { get; init; }

    /// <summary>Field 43, clock ticks.</summary>
    public required ulong GuestTime { get; init; }

    /// <summary>Field 44, clock ticks.</summary>
    public required long ChildrenGuestTime { get; init; }

    /// <summary>Field 45: mm_struct.start_data.</summary>
    public required ulong StartData { get; init; }

    /// <summary>Field 46: mm_struct.end_data.</summary>
    public required ulong EndData { get; init; }

    /// <summary>Field 47: mm_struct.start_brk.</summary>
    public required ulong StartBrk { get; init; }

    /// <summary>Field 48: mm_struct.arg_start.</summary>
    public required ulong ArgStart { get; init; }

    /// <summary>Field 49: mm_struct.arg_end.</summary>
    public required ulong ArgEnd { get; init; }

    /// <summary>Field 50: mm_struct.env_start.</summary>
    public required ulong EnvStart { get; init; }

    /// <summary>Field 51: mm_struct.env_end.</summary>
    public required ulong EnvEnd { get; init; }

    /// <summary>Field 52: exit status in the form of waitpid(2).</summary>
    public required int ExitCode { get; init; }

    /// <summary>Whether it has ended and waits to be reaped.</summary>
    public bool IsZombie => State is 'Z' or 'X';

    /// <summary>Reads /proc/PID/stat.</summary>
    /// <inheritdoc cref="ProcDirectory.Parse{T}"/>
    public static ProcStat Read(ProcDirectory directory) => directory.Parse("stat", Parse, atOnce: true);

    /// <summary>Parses the text of a stat file.</summary>
    /// <exception cref="Errors.CriuException"><c>MalformedProc</c>.</exception>
    public static ProcStat Parse(ReadOnlySpan<byte> text, ProcSource source = default)
    {
        var cursor = new ProcCursor(text, source);
        int pid = cursor.SmallDecimal("the pid");
        cursor.Expect(" ("u8, "the name in parentheses");

        // The name is printed as it is; the last closing parenthesis of the file is the one that ends it, for only numbers follow.
        int end = cursor.Rest.LastIndexOf((byte)')');
        if (end < 0)
        {
            cursor.Fail("the name in parentheses");
        }

        var comm = new OsText(cursor.Rest[..end]);
        cursor = new ProcCursor(cursor.Rest[(end + 1)..], source);
        ReadOnlySpan<byte> state = cursor.Word("the state");
        if (state.Length != 1)
        {
            cursor.Fail("a state of one letter");
        }

        // Fields are numbered as in the manual page; later kernels may add some behind the last.
        Span<long> field = stackalloc long[FieldCount + 1];
        for (int i = FirstNumber; i <= FieldCount; i++)
        {
            cursor.SkipBlanks();
            bool negative = cursor.Rest.StartsWith("-"u8);
            field[i] = negative ? cursor.SignedDecimal("a number") : unchecked((long)cursor.Decimal("a number"));
        }

        return FromFields(pid, comm, (char)state[0], field);
    }

    private static ProcStat FromFields(int pid, OsText comm, char state, ReadOnlySpan<long> field) => unchecked(new()
    {
        Pid = pid, Comm = comm, State = state, ParentPid = (int)field[4], ProcessGroup = (int)field[5], Session = (int)field[6],
        TerminalDevice = (int)field[7], TerminalForegroundGroup = (int)field[8], Flags = (uint)field[9],
        MinorFaults = (ulong)field[10], ChildrenMinorFaults = (ulong)field[11],
        MajorFaults = (ulong)field[12], ChildrenMajorFaults = (ulong)field[13],
        UserTime = (ulong)field[14], SystemTime = (ulong)field[15], ChildrenUserTime = field[16], ChildrenSystemTime = field[17],
        Priority = (int)field[18], Nice = (int)field[19], Threads = (int)field[20], IntervalTimer = field[21],
        StartTime = (ulong)field[22], VirtualSize = (ulong)field[23], ResidentPages = field[24], ResidentLimit = (ulong)field[25],
        StartCode = (ulong)field[26], EndCode = (ulong)field[27], StartStack = (ulong)field[28],
        StackPointer = (ulong)field[29], InstructionPointer = (ulong)field[30],
        Signal = (ulong)field[31], Blocked = (ulong)field[32], SignalsIgnored = (ulong)field[33], SignalsCaught = (ulong)field[34],
        WaitChannel = (ulong)field[35], Swapped = (ulong)field[36], ChildrenSwapped = (ulong)field[37],
        ExitSignal = (int)field[38], Processor = (int)field[39], RealTimePriority = (uint)field[40], Policy = (uint)field[41],
        BlockIoDelay = (ulong)field[42], GuestTime = (ulong)field[43], ChildrenGuestTime = field[44],
        StartData = (ulong)field[45], EndData = (ulong)field[46], StartBrk = (ulong)field[47],
        ArgStart = (ulong)field[48], ArgEnd = (ulong)field[49], EnvStart = (ulong)field[50], EnvEnd = (ulong)field[51],
        ExitCode = (int)field[52],
    });
}
