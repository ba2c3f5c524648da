namespace CriuPS.Engine.Proc;

/// <summary>Resources that have a limit; the values are RLIMIT_* of x86-64 and arm64 (include/uapi/asm-generic/resource.h).</summary>
public enum ResourceKind
{
    /// <summary>RLIMIT_CPU, seconds.</summary>
    Cpu = 0,

    /// <summary>RLIMIT_FSIZE, bytes.</summary>
    FileSize = 1,

    /// <summary>RLIMIT_DATA, bytes.</summary>
    Data = 2,

    /// <summary>RLIMIT_STACK, bytes.</summary>
    Stack = 3,

    /// <summary>RLIMIT_CORE, bytes.</summary>
    Core = 4,

    /// <summary>RLIMIT_RSS, bytes.</summary>
    ResidentSet = 5,

    /// <summary>RLIMIT_NPROC.</summary>
    Processes = 6,

    /// <summary>RLIMIT_NOFILE.</summary>
    OpenFiles = 7,

    /// <summary>RLIMIT_MEMLOCK, bytes.</summary>
    LockedMemory = 8,

    /// <summary>RLIMIT_AS, bytes.</summary>
    AddressSpace = 9,

    /// <summary>RLIMIT_LOCKS.</summary>
    FileLocks = 10,

    /// <summary>RLIMIT_SIGPENDING.</summary>
    PendingSignals = 11,

    /// <summary>RLIMIT_MSGQUEUE, bytes.</summary>
    MessageQueues = 12,

    /// <summary>RLIMIT_NICE: 20 minus the lowest nice value.</summary>
    Nice = 13,

    /// <summary>RLIMIT_RTPRIO.</summary>
    RealTimePriority = 14,

    /// <summary>RLIMIT_RTTIME, microseconds.</summary>
    RealTimeTimeout = 15,
}

/// <summary>A limit (getrlimit(2)).</summary>
/// <param name="Kind">What it limits.</param>
/// <param name="Soft">What is enforced; <see cref="Unlimited"/> for none.</param>
/// <param name="Hard">How far the soft limit may be raised.</param>
public readonly record struct ResourceLimit(ResourceKind Kind, ulong Soft, ulong Hard)
{
    /// <summary>RLIM_INFINITY.</summary>
    public const ulong Unlimited = ulong.MaxValue;
}

/// <summary>/proc/PID/limits (proc_pid_limits(5)): everyone may read it, where prlimit(2) asks for privileges.</summary>
public static class ProcLimits
{
    /// <summary>Number of limits, RLIM_NLIMITS.</summary>
    public const int Count = 16;

    // fs/proc/base.c, lnames: by RLIMIT_* number; each is padded to this width.
    private const int NameWidth = 26;

    /// <summary>Reads all limits, in the order of <see cref="ResourceKind"/>.</summary>
    /// <inheritdoc cref="ProcDirectory.Parse{T}"/>
    public static ResourceLimit[] Read(ProcDirectory directory) => directory.Parse("limits", Parse);

    /// <summary>Parses the text of a limits file.</summary>
    /// <exception cref="Errors.CriuException"><c>MalformedProc</c>: also if one of the limits is missing.</exception>
    public static ResourceLimit[] Parse(ReadOnlySpan<byte> text, ProcSource source = default)
    {
        var limits = new ResourceLimit[Count];
        int found = 0;
        var cursor = new ProcCursor(text, source);
        cursor.Expect("Limit "u8, "the heading 'Limit'");
        cursor.Line();
        while (!cursor.AtEnd)
        {
            ResourceLimit limit = ParseLine(cursor.Line());
            limits[(int)limit.Kind] = limit;
            found |= 1 << (int)limit.Kind;
        }

        return found == (1 << Count) - 1 ? limits : throw source.Malformed("all sixteen limits", text);
    }

    private static ResourceLimit ParseLine(ProcCursor line)
    {
        if (line.Rest.Length < NameWidth)
        {
            line.Fail("a limit's name and values");
        }

        ResourceKind kind = KindOf(line.Rest[..NameWidth].TrimEnd((byte)' '), line.Source);
        var values = new ProcCursor(line.Rest[NameWidth..], line.Source);
        ulong soft = Value(ref values);
        return new ResourceLimit(kind, soft, Value(ref values));
    }

    private static ulong Value(ref ProcCursor values)
    {
        values.SkipBlanks();
        return values.TryTake("unlimited"u8) ? ResourceLimit.Unlimited : values.Decimal("a number or 'unlimited'");
    }

    private static ResourceKind KindOf(ReadOnlySpan<byte> name, ProcSource source) => name switch
    {
        _ when name.SequenceEqual("Max cpu time"u8) => ResourceKind.Cpu,
        _ when name.SequenceEqual("Max file size"u8) => ResourceKind.FileSize,
        _ when name.SequenceEqual("Max data size"u8) => ResourceKind.Data,
        _ when name.SequenceEqual("Max stack size"u8) => ResourceKind.Stack,
        _ when name.SequenceEqual("Max core file size"u8) => ResourceKind.Core,
        _ when name.SequenceEqual("Max resident set"u8) => ResourceKind.ResidentSet,
        _ when name.SequenceEqual("Max processes"u8) => ResourceKind.Processes,
        _ when name.SequenceEqual("Max open files"u8) => ResourceKind.OpenFiles,
        _ when name.SequenceEqual("Max locked memory"u8) => ResourceKind.LockedMemory,
        _ when name.SequenceEqual("Max address space"u8) => ResourceKind.AddressSpace,
        _ when name.SequenceEqual("Max file locks"u8) => ResourceKind.FileLocks,
        _ when name.SequenceEqual("Max pending signals"u8) => ResourceKind.PendingSignals,
        _ when name.SequenceEqual("Max msgqueue size"u8) => ResourceKind.MessageQueues,
        _ when name.SequenceEqual("Max nice priority"u8) => ResourceKind.Nice,
        _ when name.SequenceEqual("Max realtime priority"u8) => ResourceKind.RealTimePriority,
        _ when name.SequenceEqual("Max realtime timeout"u8) => ResourceKind.RealTimeTimeout,
        _ => throw source.Malformed("one of the sixteen limits", name),
    };
}
