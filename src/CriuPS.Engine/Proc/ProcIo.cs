namespace CriuPS.Engine.Proc;

/// <summary>/proc/PID/io: how much a process has read and written, bytes and calls (proc_pid_io(5)).</summary>
/// <param name="CharactersRead">Bytes that read calls gave, from wherever.</param>
/// <param name="CharactersWritten">Bytes that write calls took.</param>
/// <param name="ReadCalls">Number of read calls.</param>
/// <param name="WriteCalls">Number of write calls.</param>
/// <param name="BytesRead">Bytes fetched from storage.</param>
/// <param name="BytesWritten">Bytes sent to storage.</param>
/// <param name="CancelledBytes">Bytes that were to be sent but whose file was truncated before.</param>
public readonly record struct ProcIo(
    ulong CharactersRead, ulong CharactersWritten, ulong ReadCalls, ulong WriteCalls,
    ulong BytesRead, ulong BytesWritten, long CancelledBytes)
{
    /// <summary>Reads the counters; needs leave to trace the process.</summary>
    /// <inheritdoc cref="ProcDirectory.Parse{T}"/>
    public static ProcIo Read(ProcDirectory directory) => directory.Parse("io", Parse);

    /// <summary>Parses the text of an io file.</summary>
    /// <exception cref="Errors.CriuException"><c>MalformedProc</c>.</exception>
    public static ProcIo Parse(ReadOnlySpan<byte> text, ProcSource source = default)
    {
        var cursor = new ProcCursor(text, source);
        return new ProcIo(
            Next(ref cursor, "rchar:"u8),
            Next(ref cursor, "wchar:"u8),
            Next(ref cursor, "syscr:"u8),
            Next(ref cursor, "syscw:"u8),
            Next(ref cursor, "read_bytes:"u8),
            Next(ref cursor, "write_bytes:"u8),
            unchecked((long)Next(ref cursor, "cancelled_write_bytes:"u8)));
    }

    // fs/proc/base.c, do_io_accounting writes all seven in one format string; the last may be negative.
    private static ulong Next(ref ProcCursor cursor, scoped ReadOnlySpan<byte> key)
    {
        cursor.Expect(key, "the seven counters in their order");
        ProcCursor line = cursor.Line();
        line.SkipBlanks();
        return line.Rest.StartsWith("-"u8) ? unchecked((ulong)line.SignedDecimal("a number")) : line.Decimal("a number");
    }
}
