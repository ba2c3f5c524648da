namespace CriuPS.Engine.Proc;

/// <summary>An eventfd (eventfd(2)).</summary>
/// <param name="Count">The counter.</param>
/// <param name="Id">The kernel's number for it; null before Linux 5.2.</param>
/// <param name="Semaphore">Whether EFD_SEMAPHORE was given; null before Linux 6.5.</param>
public readonly record struct EventFdState(ulong Count, int? Id, bool? Semaphore);

/// <summary>Seconds and nanoseconds, as struct timespec has them.</summary>
/// <param name="Seconds">Seconds.</param>
/// <param name="Nanoseconds">0 to 999 999 999.</param>
public readonly record struct ProcTimeSpec(ulong Seconds, ulong Nanoseconds);

/// <summary>A timerfd (timerfd_create(2)).</summary>
/// <param name="ClockId">CLOCK_* of include/uapi/linux/time.h.</param>
/// <param name="Ticks">Expirations that nobody has read.</param>
/// <param name="SetTimeFlags">TFD_TIMER_* of the last timerfd_settime.</param>
/// <param name="Value">Time to the next expiration; zero for a disarmed timer.</param>
/// <param name="Interval">Period; zero for a timer that fires once.</param>
public readonly record struct TimerFdState(int ClockId, ulong Ticks, uint SetTimeFlags, ProcTimeSpec Value, ProcTimeSpec Interval)
{
    // fs/timerfd.c, timerfd_show: five lines, always in this order.
    internal static TimerFdState Parse(ProcCursor clock, ref ProcCursor following)
    {
        int clockId = clock.SmallDecimal("a clock id");
        ulong ticks = Next(ref following, "ticks:"u8, "a line 'ticks:'").Decimal("a number of ticks");
        uint flags = (uint)Next(ref following, "settime flags:"u8, "a line 'settime flags:'").Octal("octal flags");
        ProcTimeSpec value = Time(Next(ref following, "it_value:"u8, "a line 'it_value:'"));
        ProcTimeSpec interval = Time(Next(ref following, "it_interval:"u8, "a line 'it_interval:'"));
        return new TimerFdState(clockId, ticks, flags, value, interval);
    }

    private static ProcCursor Next(ref ProcCursor following, scoped ReadOnlySpan<byte> key, string expected)
    {
        following.Expect(key, expected);
        return following.Line();
    }

    private static ProcTimeSpec Time(ProcCursor line)
    {
        const string Expected = "a time '(SECONDS, NANOSECONDS)'";
        line.SkipBlanks();
        line.Expect("("u8, Expected);
        ulong seconds = line.Decimal(Expected);
        line.Expect(","u8, Expected);
        ulong nanoseconds = line.Decimal(Expected);
        line.Expect(")"u8, Expected);
        return new ProcTimeSpec(seconds, nanoseconds);
    }
}

/// <summary>A pidfd (pidfd_open(2)).</summary>
/// <param name="Pid">The process it stands for, in the reader's pid namespace: -1 if it is gone, 0 if it is not seen from there.</param>
/// <param name="NamespacePids">Its pids from the namespace of the procfs down to its own; -1 alone if it is gone.</param>
public sealed record PidFdState(int Pid, IReadOnlyList<int> NamespacePids)
{
    internal static PidFdState Parse(ProcCursor pidLine, ref ProcCursor following)
    {
        int pid = pidLine.SmallDecimal("a pid");
        var pids = new List<int>(1);
        if (following.TryTake("NSpid:"u8))
        {
            ProcCursor line = following.Line();
            for (line.SkipBlanks(); !line.AtEnd; line.SkipBlanks())
            {
                pids.Add(line.SmallDecimal("a pid"));
            }
        }

        return new PidFdState(pid, pids);
    }
}

/// <summary>One file that an epoll instance watches.</summary>
/// <param name="Fd">The descriptor it was added as; it may have been closed since, or stand for another file now.</param>
/// <param name="Events">EPOLL* events.</param>
/// <param name="Data">What epoll_wait gives back.</param>
/// <param name="Position">The watched file's position.</param>
/// <param name="Inode">Its inode number; null before Linux 4.13.</param>
/// <param name="SuperBlockDevice">Its file system's device: major number times 2^20 plus minor number.</param>
public readonly record struct EpollTarget(int Fd, uint Events, ulong Data, long Position, ulong? Inode, uint SuperBlockDevice)
{
    // fs/eventpoll.c, ep_show_fdinfo: "tfd: %8d events: %8x data: %16llx  pos:%lli ino:%lx sdev:%x".
    internal static EpollTarget ParseLine(ProcCursor line)
    {
        const string Expected = "'tfd: FD events: HEX data: HEX pos:N ino:HEX sdev:HEX'";
        int fd = line.SmallDecimal(Expected);
        line.SkipBlanks();
        line.Expect("events:"u8, Expected);
        uint events = line.SmallHex(Expected);
        line.SkipBlanks();
        line.Expect("data:"u8, Expected);
        ulong data = line.Hex(Expected);
        line.SkipBlanks();
        if (line.AtEnd)
        {
            return new EpollTarget(fd, events, data, 0, null, 0);
        }

        line.Expect("pos:"u8, Expected);
        long position = line.SignedDecimal(Expected);
        line.Expect(" ino:"u8, Expected);
        ulong inode = line.Hex(Expected);
        line.Expect(" sdev:"u8, Expected);
        return new EpollTarget(fd, events, data, position, inode, line.SmallHex(Expected));
    }
}
