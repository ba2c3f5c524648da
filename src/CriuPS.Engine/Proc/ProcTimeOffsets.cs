namespace CriuPS.Engine.Proc;

/// <summary>
/// /proc/PID/timens_offsets (time_namespaces(7)): how far the clocks that begin at boot are shifted in the time namespace of a process's future children, in
/// nanoseconds. It is the namespace of the process too, unless that has unshared without having children.
/// </summary>
/// <param name="Monotonic">What is added to CLOCK_MONOTONIC.</param>
/// <param name="BootTime">What is added to CLOCK_BOOTTIME.</param>
internal readonly record struct ProcTimeOffsets(long Monotonic, long BootTime)
{
    private const long NanosecondsPerSecond = 1_000_000_000;

    /// <summary>Reads the offsets.</summary>
    /// <inheritdoc cref="ProcDirectory.Parse{T}"/>
    public static ProcTimeOffsets Read(ProcDirectory directory) => directory.Parse("timens_offsets", Parse);

    /// <summary>Parses the text of the file: a line for each clock, with its name, seconds and nanoseconds.</summary>
    /// <exception cref="Errors.CriuException"><c>MalformedProc</c>.</exception>
    public static ProcTimeOffsets Parse(ReadOnlySpan<byte> text, ProcSource source = default)
    {
        ProcCursor cursor = new(text, source);
        long monotonic = Line(ref cursor, "monotonic"u8, "the offset of the monotonic clock");
        return new ProcTimeOffsets(monotonic, Line(ref cursor, "boottime"u8, "the offset of the clock since boot"));
    }

    /// <summary>The text that sets them.</summary>
    public override string ToString() => $"monotonic {Text(Monotonic)}\nboottime {Text(BootTime)}\n";

    // Seconds may be negative, nanoseconds may not (kernel/time/namespace.c, proc_timens_set_offset).
    private static string Text(long offset)
    {
        long nanoseconds = offset % NanosecondsPerSecond, seconds = offset / NanosecondsPerSecond;
        return nanoseconds < 0 ? $"{seconds - 1} {nanoseconds + NanosecondsPerSecond}" : $"{seconds} {nanoseconds}";
    }

    private static long Line(ref ProcCursor cursor, ReadOnlySpan<byte> name, string what)
    {
        ProcCursor line = cursor.Line();
        line.Expect(name, what);
        return (line.SignedDecimal(what) * NanosecondsPerSecond) + line.SignedDecimal(what);
    }
}
