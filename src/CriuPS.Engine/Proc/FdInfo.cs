using System.Globalization;
using System.Numerics;

namespace CriuPS.Engine.Proc;

/// <summary>
/// /proc/PID/fdinfo/N (proc_pid_fdinfo(5); Documentation/filesystems/proc.rst, section 3.8): what every descriptor has, its locks, and what
/// its kind adds.
/// </summary>
public sealed class FdInfo
{
    private List<FileLock>? _locks;
    private List<EpollTarget>? _epollTargets;
    private List<InotifyWatch>? _inotifyWatches;
    private List<FanotifyMark>? _fanotifyMarks;
    private List<OsText>? _otherLines;

    private FdInfo()
    {
    }

    /// <summary>The position of the open file; not meaningful for kinds without one.</summary>
    public long Position { get; private set; }

    /// <summary>Access mode and O_* flags of the open file, and O_CLOEXEC if the descriptor itself is close-on-exec.</summary>
    public uint Flags { get; private set; }

    /// <summary>The mount that it was opened on: a number of mountinfo, or of one that only the kernel has.</summary>
    public int MountId { get; private set; }

    /// <summary>The inode number; null before Linux 5.14.</summary>
    public ulong? Inode { get; private set; }

    /// <summary>Locks held through this open file, and by the process on the same file.</summary>
    public IReadOnlyList<FileLock> Locks => _locks ?? (IReadOnlyList<FileLock>)[];

    /// <summary>For an eventfd.</summary>
    public EventFdState? EventFd { get; private set; }

    /// <summary>For a signalfd: the signals it takes; bit N-1 is signal N.</summary>
    public ulong? SignalMask { get; private set; }

    /// <summary>For a timerfd.</summary>
    public TimerFdState? TimerFd { get; private set; }

    /// <summary>For a pidfd.</summary>
    public PidFdState? PidFd { get; private set; }

    /// <summary>For an epoll instance: what it watches.</summary>
    public IReadOnlyList<EpollTarget> EpollTargets => _epollTargets ?? (IReadOnlyList<EpollTarget>)[];

    /// <summary>For an inotify instance: what it watches, the latest first.</summary>
    public IReadOnlyList<InotifyWatch> InotifyWatches => _inotifyWatches ?? (IReadOnlyList<InotifyWatch>)[];

    /// <summary>For a fanotify group.</summary>
    public FanotifyGroup? Fanotify { get; private set; }

    /// <summary>For a fanotify group: its marks.</summary>
    public IReadOnlyList<FanotifyMark> FanotifyMarks => _fanotifyMarks ?? (IReadOnlyList<FanotifyMark>)[];

    /// <summary>Lines of other kinds (terminals, tun devices, BPF, io_uring, …), as they are.</summary>
    public IReadOnlyList<OsText> OtherLines => _otherLines ?? (IReadOnlyList<OsText>)[];

    /// <summary>What fdinfo would tell of a descriptor which has nothing but what all have.</summary>
    internal static FdInfo Of(Kernel.FileStructs.Facts facts) =>
        new() { Position = facts.Position, Flags = facts.Flags, MountId = facts.Mount, Inode = facts.Inode };

    /// <summary>What it would tell of an eventfd, after it has told it of another one.</summary>
    internal static FdInfo Of(Kernel.FileStructs.Facts facts, EventFdState other)
    {
        bool? semaphore = other.Semaphore is null ? null : (facts.Event.Flags & Kernel.EventFiles.EFD_SEMAPHORE) != 0;
        FdInfo info = Of(facts);
        info.EventFd = new EventFdState(facts.Event.Count, other.Id is null ? null : facts.Event.Id, semaphore);
        return info;
    }

    /// <summary>Reads the information of a descriptor.</summary>
    /// <param name="directory">The process.</param>
    /// <param name="fd">The descriptor's number; <c>ProcFileMissing</c> if it is not open.</param>
    /// <inheritdoc cref="ProcDirectory.Parse{T}"/>
    public static FdInfo Read(ProcDirectory directory, int fd) => directory.ParseNumbered("fdinfo/", fd, Parse);

    /// <summary>Parses the text of an fdinfo file.</summary>
    /// <exception cref="Errors.CriuException"><c>MalformedProc</c>.</exception>
    public static FdInfo Parse(ReadOnlySpan<byte> text, ProcSource source = default)
    {
        var info = new FdInfo();
        var cursor = new ProcCursor(text, source);
        info.TakeCommon(ref cursor);
        while (!cursor.AtEnd)
        {
            ProcCursor line = cursor.Line();
            ReadOnlySpan<byte> whole = line.Rest;
            if (!info.TakeWatch(ref line) && !info.TakeValue(ref line, ref cursor))
            {
                (info._otherLines ??= []).Add(new OsText(whole));
            }
        }

        return info;
    }

    /// <summary>The value of a line of <see cref="OtherLines"/>, e.g. that of <c>tty-index</c>; null if there is none.</summary>
    public OsText? FindOther(ReadOnlySpan<byte> key)
    {
        foreach (OsText line in OtherLines)
        {
            if (line.StartsWith(key) && line.Length > key.Length && line.Bytes[key.Length] == ':')
            {
                return new OsText(line.Bytes[(key.Length + 1)..].TrimStart(" \t"u8));
            }
        }

        return null;
    }

    /// <summary>The number in a line of <see cref="OtherLines"/>; 0 if there is none, or it does not fit.</summary>
    /// <typeparam name="T">What kind of number.</typeparam>
    internal T OtherNumber<T>(ReadOnlySpan<byte> key) where T : struct, INumberBase<T> =>
        FindOther(key) is { } text && T.TryParse(text.Bytes, NumberStyles.Integer, CultureInfo.InvariantCulture, out T number) ? number : T.Zero;

    // fs/proc/fd.c, seq_show: these come first and in this order, so that no text of a later line can pass for them.
    private void TakeCommon(ref ProcCursor cursor)
    {
        Position = Common(ref cursor, "pos:"u8, "a line 'pos:'").SignedDecimal("a position");
        Flags = (uint)Common(ref cursor, "flags:"u8, "a line 'flags:'").Octal("octal flags");
        MountId = Common(ref cursor, "mnt_id:"u8, "a line 'mnt_id:'").SmallDecimal("a mount id");
        if (cursor.Rest.StartsWith("ino:"u8))
        {
            Inode = Common(ref cursor, "ino:"u8, "a line 'ino:'").Decimal("an inode number");
        }
    }

    private static ProcCursor Common(ref ProcCursor cursor, scoped ReadOnlySpan<byte> key, string expected)
    {
        cursor.Expect(key, expected);
        return cursor.Line();
    }

    private bool TakeWatch(ref ProcCursor line)
    {
        if (line.TryTake("lock:"u8))
        {
            (_locks ??= []).Add(FileLock.ParseLine(line));
        }
        else if (line.TryTake("tfd:"u8))
        {
            (_epollTargets ??= []).Add(EpollTarget.ParseLine(line));
        }
        else if (line.TryTake("inotify wd:"u8))
        {
            (_inotifyWatches ??= []).Add(InotifyWatch.ParseLine(line));
        }
        else if (line.TryTake("fanotify flags:"u8))
        {
            Fanotify = FanotifyGroup.ParseLine(line);
        }
        else if (line.TryTake("fanotify "u8))
        {
            (_fanotifyMarks ??= []).Add(FanotifyMark.ParseLine(line));
        }
        else
        {
            return false;
        }

        return true;
    }

    private bool TakeValue(ref ProcCursor line, ref ProcCursor following)
    {
        if (line.TryTake("eventfd-count:"u8))
        {
            EventFd = new EventFdState(line.Hex("a hexadecimal counter"), null, null);
        }
        else if (EventFd is { } eventFd && line.TryTake("eventfd-id:"u8))
        {
            EventFd = eventFd with { Id = line.SmallDecimal("an eventfd id") };
        }
        else if (EventFd is { } semaphore && line.TryTake("eventfd-semaphore:"u8))
        {
            EventFd = semaphore with { Semaphore = line.SmallDecimal("0 or 1") != 0 };
        }
        else if (line.TryTake("sigmask:"u8))
        {
            SignalMask = line.Hex("a signal mask");
        }
        else if (line.TryTake("clockid:"u8))
        {
            TimerFd = TimerFdState.Parse(line, ref following);
        }
        else if (line.TryTake("Pid:"u8))
        {
            PidFd = PidFdState.Parse(line, ref following);
        }
        else
        {
            return false;
        }

        return true;
    }
}
