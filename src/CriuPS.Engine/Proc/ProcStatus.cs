namespace CriuPS.Engine.Proc;

/// <summary>The four forms of a user or group id (credentials(7)).</summary>
/// <param name="Real">Real id.</param>
/// <param name="Effective">Effective id.</param>
/// <param name="Saved">Saved set-id.</param>
/// <param name="FileSystem">File-system id.</param>
public readonly record struct ProcIds(uint Real, uint Effective, uint Saved, uint FileSystem);

/// <summary>
/// /proc/PID/status (proc_pid_status(5)). Sizes are in bytes. A value that this kernel or this kind of process does not show is null:
/// zombies and kernel threads have no memory lines, kernels without CONFIG_SECCOMP no seccomp lines.
/// </summary>
public sealed record ProcStatus
{
    private const int KiB = 1024;
    private const int RequiredLines = 18;

    private readonly List<OsText> _otherLines = [];

    /// <summary>The name, with the kernel's <c>\n</c> and <c>\\</c> turned back.</summary>
    public OsText Name { get; private set; }

    /// <summary>File mode creation mask; null for a zombie.</summary>
    public uint? Umask { get; private set; }

    /// <summary>As in <see cref="ProcStat.State"/>.</summary>
    public char State { get; private set; }

    public int ThreadGroup { get; private set; }

    public int Tid { get; private set; }

    public int ParentPid { get; private set; }

    /// <summary>The tracer's pid, 0 for none.</summary>
    public int TracerPid { get; private set; }

    public ProcIds Uid { get; private set; }

    public ProcIds Gid { get; private set; }

    /// <summary>Supplementary groups.</summary>
    public IReadOnlyList<uint> Groups { get; private set; } = [];

    /// <summary>Size of the descriptor table.</summary>
    public int DescriptorTableSize { get; private set; }

    /// <summary>Thread-group ids, outermost pid namespace first: the reader's first, the process's own last.</summary>
    public IReadOnlyList<int> NamespaceThreadGroups { get; private set; } = [];

    /// <summary>Task ids, in the order of <see cref="NamespaceThreadGroups"/>.</summary>
    public IReadOnlyList<int> NamespaceTids { get; private set; } = [];

    /// <summary>Process group ids, in the order of <see cref="NamespaceThreadGroups"/>; 0 where the group is not visible.</summary>
    public IReadOnlyList<int> NamespaceProcessGroups { get; private set; } = [];

    /// <summary>Session ids, in the order of <see cref="NamespaceThreadGroups"/>; 0 where the session is not visible.</summary>
    public IReadOnlyList<int> NamespaceSessions { get; private set; } = [];

    /// <summary>Whether it is a kernel thread; null before Linux 6.8.</summary>
    public bool? KernelThread { get; private set; }

    public long? PeakVirtualSize { get; private set; }

    public long? VirtualSize { get; private set; }

    public long? LockedSize { get; private set; }

    public long? PinnedSize { get; private set; }

    public long? PeakResidentSize { get; private set; }

    /// <summary>Resident memory; inexact by some pages for each thread.</summary>
    public long? ResidentSize { get; private set; }

    public long? ResidentAnonymous { get; private set; }

    public long? ResidentFile { get; private set; }

    public long? ResidentShared { get; private set; }

    public long? DataSize { get; private set; }

    public long? StackSize { get; private set; }

    public long? CodeSize { get; private set; }

    public long? LibrarySize { get; private set; }

    public long? PageTableSize { get; private set; }

    public long? SwapSize { get; private set; }

    public long? HugetlbSize { get; private set; }

    /// <summary>Whether a core dump is being written.</summary>
    public bool? CoreDumping { get; private set; }

    /// <summary>False where prctl(PR_SET_THP_DISABLE) is in force.</summary>
    public bool? TransparentHugePages { get; private set; }

    public int Threads { get; private set; }

    /// <summary>Number of signals queued for the real uid.</summary>
    public long QueuedSignals { get; private set; }

    /// <summary>RLIMIT_SIGPENDING.</summary>
    public long QueuedSignalsLimit { get; private set; }

    /// <summary>Signals pending for the task; bit N-1 is signal N, as in all masks here.</summary>
    public ulong PendingSignals { get; private set; }

    /// <summary>Signals pending for the whole process.</summary>
    public ulong SharedPendingSignals { get; private set; }

    public ulong BlockedSignals { get; private set; }

    public ulong IgnoredSignals { get; private set; }

    public ulong CaughtSignals { get; private set; }

    /// <summary>Inheritable capabilities; bit N is capability N, as in all sets here.</summary>
    public ulong InheritableCapabilities { get; private set; }

    public ulong PermittedCapabilities { get; private set; }

    public ulong EffectiveCapabilities { get; private set; }

    public ulong BoundingCapabilities { get; private set; }

    public ulong AmbientCapabilities { get; private set; }

    public bool? NoNewPrivileges { get; private set; }

    /// <summary>0 none, 1 strict, 2 filters.</summary>
    public int? Seccomp { get; private set; }

    /// <summary>Number of filters in force; null before Linux 5.9.</summary>
    public int? SeccompFilters { get; private set; }

    public long? VoluntarySwitches { get; private set; }

    public long? InvoluntarySwitches { get; private set; }

    /// <summary>Every line that has no property here, by its key: those of other architectures and of later kernels.</summary>
    public IReadOnlyDictionary<string, OsText> OtherLines =>
        field ??= _otherLines.Select(KeyAndValue).DistinctBy(line => line.Key).ToDictionary(line => line.Key, line => line.Value);

    /// <summary>Reads /proc/PID/status.</summary>
    /// <inheritdoc cref="ProcDirectory.Parse{T}"/>
    public static ProcStatus Read(ProcDirectory directory) => directory.Parse("status", Parse, atOnce: true);

    /// <summary>Parses the text of a status file.</summary>
    /// <exception cref="Errors.CriuException"><c>MalformedProc</c>.</exception>
    public static ProcStatus Parse(ReadOnlySpan<byte> text, ProcSource source = default)
    {
        var status = new ProcStatus();
        var cursor = new ProcCursor(text, source);
        Span<char> key = stackalloc char[64];
        int required = 0;
        while (!cursor.AtEnd)
        {
            ProcCursor line = cursor.Line();
            ReadOnlySpan<byte> whole = line.Rest;
            ReadOnlySpan<char> name = key[..ProcKey.Take(ref line, key)];
            required += IsRequired(name) ? 1 : 0;
            if (!status.SetIdentity(name, ref line) && !status.SetMemory(name, ref line) && !status.SetRest(name, ref line))
            {
                status._otherLines.Add(new OsText(whole));
            }
        }

        return required == RequiredLines ? status : throw source.Malformed($"{RequiredLines} lines that every kernel writes", text);
    }

    /// <summary>How much memory is locked; null where the file does not say so.</summary>
    /// <inheritdoc cref="ProcDirectory.Parse{T}"/>
    public static long? ReadLockedSize(ProcDirectory directory) => directory.Parse("status", ParseLockedSize, atOnce: true);

    private static long? ParseLockedSize(ReadOnlySpan<byte> text, ProcSource source)
    {
        ReadOnlySpan<byte> key = "\nVmLck:"u8;
        int at = text.IndexOf(key);
        if (at < 0)
        {
            return null;
        }

        ProcCursor line = new ProcCursor(text[(at + key.Length)..], source).Line();
        return Size(ref line);
    }

    private static (string Key, OsText Value) KeyAndValue(OsText line)
    {
        int colon = line.Bytes.IndexOf((byte)':');
        return (System.Text.Encoding.Latin1.GetString(line.Bytes[..colon]), new OsText(line.Bytes[(colon + 1)..].TrimStart(" \t"u8)));
    }

    private static bool IsRequired(scoped ReadOnlySpan<char> key) => key is "Name" or "State" or "Tgid" or "Pid" or "PPid"
        or "Uid" or "Gid" or "Groups" or "Threads" or "SigPnd" or "ShdPnd" or "SigBlk" or "SigIgn" or "SigCgt"
        or "CapInh" or "CapPrm" or "CapEff" or "CapBnd";

    private bool SetIdentity(scoped ReadOnlySpan<char> key, ref ProcCursor line)
    {
        switch (key)
        {
            case "Name": Name = NameOf(ref line); break;
            case "Umask": Umask = (uint)line.Octal("an octal mask"); break;
            case "State": State = (char)line.Word("a state")[0]; break;
            case "Tgid": ThreadGroup = line.SmallDecimal("a pid"); break;
            case "Pid": Tid = line.SmallDecimal("a pid"); break;
            case "PPid": ParentPid = line.SmallDecimal("a pid"); break;
            case "TracerPid": TracerPid = line.SmallDecimal("a pid"); break;
            case "Uid": Uid = FourIds(ref line); break;
            case "Gid": Gid = FourIds(ref line); break;
            case "FDSize": DescriptorTableSize = line.SmallDecimal("a number"); break;
            case "Groups": Groups = GroupIds(ref line); break;
            case "NStgid": NamespaceThreadGroups = Pids(ref line); break;
            case "NSpid": NamespaceTids = Pids(ref line); break;
            case "NSpgid": NamespaceProcessGroups = Pids(ref line); break;
            case "NSsid": NamespaceSessions = Pids(ref line); break;
            case "Kthread": KernelThread = Flag(ref line); break;
            case "Threads": Threads = line.SmallDecimal("a number"); break;
            default: return false;
        }

        return true;
    }

    private bool SetMemory(scoped ReadOnlySpan<char> key, ref ProcCursor line)
    {
        switch (key)
        {
            case "VmPeak": PeakVirtualSize = Size(ref line); break;
            case "VmSize": VirtualSize = Size(ref line); break;
            case "VmLck": LockedSize = Size(ref line); break;
            case "VmPin": PinnedSize = Size(ref line); break;
            case "VmHWM": PeakResidentSize = Size(ref line); break;
            case "VmRSS": ResidentSize = Size(ref line); break;
            case "RssAnon": ResidentAnonymous = Size(ref line); break;
            case "RssFile": ResidentFile = Size(ref line); break;
            case "RssShmem": ResidentShared = Size(ref line); break;
            case "VmData": DataSize = Size(ref line); break;
            case "VmStk": StackSize = Size(ref line); break;
            case "VmExe": CodeSize = Size(ref line); break;
            case "VmLib": LibrarySize = Size(ref line); break;
            case "VmPTE": PageTableSize = Size(ref line); break;
            case "VmSwap": SwapSize = Size(ref line); break;
            case "HugetlbPages": HugetlbSize = Size(ref line); break;
            case "CoreDumping": CoreDumping = Flag(ref line); break;
            case "THP_enabled": TransparentHugePages = Flag(ref line); break;
            default: return false;
        }

        return true;
    }

    private bool SetRest(scoped ReadOnlySpan<char> key, ref ProcCursor line)
    {
        switch (key)
        {
            case "SigQ": SetQueue(ref line); break;
            case "SigPnd": PendingSignals = line.Hex("a signal mask"); break;
            case "ShdPnd": SharedPendingSignals = line.Hex("a signal mask"); break;
            case "SigBlk": BlockedSignals = line.Hex("a signal mask"); break;
            case "SigIgn": IgnoredSignals = line.Hex("a signal mask"); break;
            case "SigCgt": CaughtSignals = line.Hex("a signal mask"); break;
            case "CapInh": InheritableCapabilities = line.Hex("a capability set"); break;
            case "CapPrm": PermittedCapabilities = line.Hex("a capability set"); break;
            case "CapEff": EffectiveCapabilities = line.Hex("a capability set"); break;
            case "CapBnd": BoundingCapabilities = line.Hex("a capability set"); break;
            case "CapAmb": AmbientCapabilities = line.Hex("a capability set"); break;
            case "NoNewPrivs": NoNewPrivileges = Flag(ref line); break;
            case "Seccomp": Seccomp = line.SmallDecimal("a seccomp mode"); break;
            case "Seccomp_filters": SeccompFilters = line.SmallDecimal("a number"); break;
            case "voluntary_ctxt_switches": VoluntarySwitches = line.SignedDecimal("a number"); break;
            case "nonvoluntary_ctxt_switches": InvoluntarySwitches = line.SignedDecimal("a number"); break;
            default: return false;
        }

        return true;
    }

    private void SetQueue(ref ProcCursor line)
    {
        QueuedSignals = line.SignedDecimal("the number of queued signals");
        line.Expect("/"u8, "'/' and the limit of queued signals");
        QueuedSignalsLimit = unchecked((long)line.Decimal("the limit of queued signals"));
    }

    private static bool Flag(ref ProcCursor line) => line.SmallDecimal("0 or 1") != 0;

    internal static ProcIds FourIds(ref ProcCursor line)
    {
        const string Expected = "four ids";
        return new ProcIds(
            line.UnsignedDecimal(Expected), line.UnsignedDecimal(Expected), line.UnsignedDecimal(Expected), line.UnsignedDecimal(Expected));
    }

    private static List<int> Pids(ref ProcCursor line)
    {
        var pids = new List<int>(2);
        for (line.SkipBlanks(); !line.AtEnd; line.SkipBlanks())
        {
            pids.Add(line.SmallDecimal("a pid"));
        }

        return pids;
    }

    internal static List<uint> GroupIds(ref ProcCursor line)
    {
        var groups = new List<uint>();
        for (line.SkipBlanks(); !line.AtEnd; line.SkipBlanks())
        {
            groups.Add(line.UnsignedDecimal("a group id"));
        }

        return groups;
    }

    private static long Size(ref ProcCursor line)
    {
        long size = line.SignedDecimal("a size in kB");
        line.SkipBlanks();
        line.Expect("kB"u8, "the unit kB");
        return size * KiB;
    }

    // fs/proc/array.c, proc_task_name: in this file, unlike in stat and comm, newline and backslash are written as \n and \\.
    private static OsText NameOf(ref ProcCursor line)
    {
        line.Expect("\t"u8, "a tab and the name");
        ReadOnlySpan<byte> name = line.Rest;
        if (!name.Contains((byte)'\\'))
        {
            return new OsText(name);
        }

        byte[] bytes = new byte[name.Length];
        int length = 0;
        for (int i = 0; i < name.Length; i++)
        {
            bool escaped = name[i] == '\\' && i + 1 < name.Length;
            byte c = escaped ? name[++i] : name[i];
            bytes[length++] = escaped && c == 'n' ? (byte)'\n' : c;
        }

        return new OsText(bytes.AsSpan(0, length));
    }
}
