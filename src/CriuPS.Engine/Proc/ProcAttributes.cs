using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Proc;

/// <summary>The files of /proc/PID that hold a single value, and the links exe, cwd and root.</summary>
public static class ProcAttributes
{
    /// <summary>loginuid and sessionid of a process that was never given one.</summary>
    public const uint Unset = uint.MaxValue;

    /// <summary>The name, at most 15 bytes of any kind (proc_pid_comm(5)); a kernel thread's may be longer.</summary>
    /// <inheritdoc cref="ProcDirectory.Parse{T}"/>
    public static OsText ReadComm(ProcDirectory directory) => directory.Parse("comm", static (text, source) => ParseComm(text, source));

    /// <summary>-1000 to 1000 (proc_pid_oom_score_adj(5)).</summary>
    /// <inheritdoc cref="ProcDirectory.Parse{T}"/>
    public static int ReadOomScoreAdjustment(ProcDirectory directory) => directory.Parse("oom_score_adj", ParseInt);

    /// <summary>The execution domain with its flags (personality(2)).</summary>
    /// <inheritdoc cref="ProcDirectory.Parse{T}"/>
    public static uint ReadPersonality(ProcDirectory directory) =>
        directory.Parse("personality", static (text, source) => new ProcCursor(text, source).SmallHex("a number in hexadecimal"));

    /// <summary>The audit login uid, <see cref="Unset"/> if none was set; null on kernels without CONFIG_AUDIT.</summary>
    /// <inheritdoc cref="ProcDirectory.Parse{T}"/>
    public static uint? ReadLoginUid(ProcDirectory directory) => Optional(directory, "loginuid", ParseUInt);

    /// <summary>The audit session, <see cref="Unset"/> if there is none; null on kernels without CONFIG_AUDIT.</summary>
    /// <inheritdoc cref="ProcDirectory.Parse{T}"/>
    public static uint? ReadAuditSession(ProcDirectory directory) => Optional(directory, "sessionid", ParseUInt);

    /// <summary>How late a timer may fire, nanoseconds (proc_pid_timerslack_ns(5)).</summary>
    /// <inheritdoc cref="ProcDirectory.Parse{T}"/>
    public static ulong ReadTimerSlack(ProcDirectory directory) =>
        directory.Parse("timerslack_ns", static (text, source) => new ProcCursor(text, source).Decimal("nanoseconds"));

    /// <summary>Which mappings a core dump holds (core(5)); null for kernel threads and zombies, where the file is empty.</summary>
    /// <inheritdoc cref="ProcDirectory.Parse{T}"/>
    public static uint? ReadCoreDumpFilter(ProcDirectory directory) => directory.Parse<uint?>(
        "coredump_filter",
        static (text, source) => text.IsEmpty ? null : new ProcCursor(text, source).SmallHex("a mask in hexadecimal"));

    /// <summary>The executable, in the form of <see cref="ProcDescriptors.ReadLink"/>; null for kernel threads and zombies.</summary>
    /// <inheritdoc cref="ProcDirectory.ReadLinkText"/>
    public static OsText? ReadExe(ProcDirectory directory) => OptionalLink(directory, "exe");

    /// <summary>The working directory; null for zombies.</summary>
    /// <inheritdoc cref="ProcDirectory.ReadLinkText"/>
    public static OsText? ReadWorkingDirectory(ProcDirectory directory) => OptionalLink(directory, "cwd");

    /// <summary>The root directory; null for zombies.</summary>
    /// <inheritdoc cref="ProcDirectory.ReadLinkText"/>
    public static OsText? ReadRoot(ProcDirectory directory) => OptionalLink(directory, "root");

    /// <summary>Parses the text of a comm file: everything but the newline that the kernel adds.</summary>
    /// <exception cref="CriuException"><c>MalformedProc</c>.</exception>
    public static OsText ParseComm(ReadOnlySpan<byte> text, ProcSource source = default) =>
        text.EndsWith("\n"u8) ? new OsText(text[..^1]) : throw source.Malformed("a name and a newline", text);

    private static int ParseInt(ReadOnlySpan<byte> text, ProcSource source) => new ProcCursor(text, source).SmallDecimal("a number");

    private static uint ParseUInt(ReadOnlySpan<byte> text, ProcSource source) => new ProcCursor(text, source).UnsignedDecimal("a number");

    private static uint? Optional(ProcDirectory directory, string file, ProcParser<uint> parser)
    {
        try
        {
            return directory.Parse(file, parser);
        }
        catch (CriuException missing) when (missing.Id == "ProcFileMissing")
        {
            return null;
        }
    }

    private static OsText? OptionalLink(ProcDirectory directory, string link) =>
        directory.TryReadLinkText(link, out int errno)
        ?? (errno == Errno.ENOENT ? null : throw directory.Failure("readlinkat", link, errno));
}
