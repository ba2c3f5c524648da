using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Proc;

/// <summary>What /proc tells of the whole system.</summary>
public static class ProcRoot
{
    /// <summary>Clock ticks a second in /proc (USER_HZ), which no architecture of this project has otherwise.</summary>
    public const int ClockTicks = 100;

    /// <summary>The processes that this pid namespace sees, ascending. Some may end, and others be born, while they are listed.</summary>
    /// <exception cref="KernelException">/proc cannot be read.</exception>
    public static List<int> ListPids()
    {
        using SafeFileHandle proc = OpenAt.Open("/proc", OpenAt.O_RDONLY | OpenAt.O_DIRECTORY);
        var source = new ProcSource("/proc", null);
        List<int> pids = ProcFile.List(proc, source, PidOrZero, errno => new KernelException("getdents64(/proc)", errno));
        pids.RemoveAll(pid => pid == 0);
        return pids;
    }

    /// <summary>Time since boot, suspend included, to 10 ms (proc_uptime(5)).</summary>
    /// <exception cref="KernelException">It cannot be read.</exception>
    public static TimeSpan ReadUptime() => Parse("uptime", ParseUptime);

    /// <summary>The moment of boot that start times count from, by the present clock (btime of proc_stat(5)).</summary>
    /// <exception cref="KernelException">It cannot be read.</exception>
    public static DateTimeOffset ReadBootTime() => Parse("stat", ParseBootTime);

    /// <summary>A number that is another after each boot (proc_sys_kernel(5)).</summary>
    /// <exception cref="KernelException">It cannot be read.</exception>
    public static Guid ReadBootId() => Parse("sys/kernel/random/boot_id", ParseBootId);

    /// <summary>All file locks of the system, also those that wait (proc_locks(5)).</summary>
    /// <exception cref="KernelException">It cannot be read.</exception>
    public static List<FileLock> ReadLocks() => Parse("locks", FileLock.ParseFile);

    /// <summary>Parses the text of /proc/uptime.</summary>
    /// <exception cref="CriuException"><c>MalformedProc</c>.</exception>
    public static TimeSpan ParseUptime(ReadOnlySpan<byte> text, ProcSource source = default)
    {
        var cursor = new ProcCursor(text, source);
        ulong seconds = cursor.Decimal("seconds");
        cursor.Expect("."u8, "a decimal point");
        ulong hundredths = cursor.Decimal("two decimals");
        return TimeSpan.FromMilliseconds((seconds * 1000) + (hundredths * 10));
    }

    /// <summary>Parses the text of /proc/stat.</summary>
    /// <exception cref="CriuException"><c>MalformedProc</c>.</exception>
    public static DateTimeOffset ParseBootTime(ReadOnlySpan<byte> text, ProcSource source = default)
    {
        var cursor = new ProcCursor(text, source);
        while (!cursor.AtEnd)
        {
            ProcCursor line = cursor.Line();
            if (line.TryTake("btime "u8))
            {
                return DateTimeOffset.FromUnixTimeSeconds(line.SignedDecimal("seconds since 1970"));
            }
        }

        throw source.Malformed("a line 'btime'", text);
    }

    private static Guid ParseBootId(ReadOnlySpan<byte> text, ProcSource source) =>
        Guid.TryParse(text.TrimEnd((byte)'\n'), null, out Guid id) ? id : throw source.Malformed("a UUID", text);

    private static int PidOrZero(ReadOnlySpan<byte> name, ProcSource source) =>
        name[0] is >= (byte)'1' and <= (byte)'9' ? new ProcCursor(name, source).SmallDecimal("a pid") : 0;

    /// <summary>Reads a file of /proc that belongs to no process, and parses it.</summary>
    internal static T Parse<T>(string file, ProcParser<T> parser)
    {
        string path = $"/proc/{file}";
        using BorrowedDescriptor opened = OpenAt.Borrow(null, CString.From(path), OpenAt.O_RDONLY, out int errno);
        if (errno != 0)
        {
            throw new KernelException($"openat({path})", errno);
        }

        T record = ProcFile.Parse(opened, new ProcSource(path, null), parser, atOnce: false, out errno);
        return errno == 0 ? record : throw new KernelException($"read({path})", errno);
    }
}
