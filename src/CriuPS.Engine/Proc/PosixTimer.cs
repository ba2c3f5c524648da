namespace CriuPS.Engine.Proc;

/// <summary>How a POSIX timer tells of its expiration; the values are SIGEV_* of sigevent(3type).</summary>
public enum TimerNotify
{
    /// <summary>By a signal.</summary>
    Signal = 0,

    /// <summary>Not at all.</summary>
    None = 1,

    /// <summary>By a thread that the C library starts; the kernel does as for a signal.</summary>
    Thread = 2,
}

/// <summary>A POSIX timer of /proc/PID/timers (proc_pid_timers(5)); what time is left only the process itself can ask.</summary>
/// <param name="Id">The kernel's number for it, unique in the process.</param>
/// <param name="Signal">The signal it sends.</param>
/// <param name="Value">sigval that goes with the signal.</param>
/// <param name="Notify">How it tells.</param>
/// <param name="ToTask">Whether the signal goes to one task (SIGEV_THREAD_ID), and not to the process.</param>
/// <param name="Target">The task or process that gets the signal, in the pid namespace of the procfs.</param>
/// <param name="ClockId">CLOCK_* or the number of a process's or task's own clock.</param>
public readonly record struct PosixTimer(int Id, int Signal, ulong Value, TimerNotify Notify, bool ToTask, int Target, int ClockId)
{
    /// <summary>Reads the timers, the latest first. Needs CONFIG_CHECKPOINT_RESTORE, else <c>ProcFileMissing</c>.</summary>
    /// <inheritdoc cref="ProcDirectory.Parse{T}"/>
    public static List<PosixTimer> Read(ProcDirectory directory) => directory.Parse("timers", ParseFile);

    /// <summary>Parses the text of a timers file.</summary>
    /// <exception cref="Errors.CriuException"><c>MalformedProc</c>.</exception>
    public static List<PosixTimer> ParseFile(ReadOnlySpan<byte> text, ProcSource source = default)
    {
        var timers = new List<PosixTimer>();
        var cursor = new ProcCursor(text, source);
        while (!cursor.AtEnd)
        {
            timers.Add(ParseTimer(ref cursor));
        }

        return timers;
    }

    // fs/proc/base.c, show_timer: four lines each.
    private static PosixTimer ParseTimer(ref ProcCursor cursor)
    {
        cursor.Expect("ID: "u8, "a line 'ID:'");
        int id = cursor.Line().SmallDecimal("a timer's number");
        cursor.Expect("signal: "u8, "a line 'signal:'");
        ProcCursor signalLine = cursor.Line();
        int signal = signalLine.SmallDecimal("a signal");
        signalLine.Expect("/"u8, "'SIGNAL/VALUE'");
        ulong value = signalLine.TryTake("(null)"u8) ? 0 : signalLine.Hex("a value in hexadecimal");
        cursor.Expect("notify: "u8, "a line 'notify:'");
        ProcCursor notifyLine = cursor.Line();
        TimerNotify notify = ParseNotify(ref notifyLine);
        bool toTask = notifyLine.TryTake("tid."u8);
        if (!toTask)
        {
            notifyLine.Expect("pid."u8, "'tid.' or 'pid.'");
        }

        int target = notifyLine.SmallDecimal("a pid");
        cursor.Expect("ClockID: "u8, "a line 'ClockID:'");
        return new PosixTimer(id, signal, value, notify, toTask, target, cursor.Line().SmallDecimal("a clock"));
    }

    private static TimerNotify ParseNotify(ref ProcCursor line)
    {
        ReadOnlySpan<byte> word = line.Until((byte)'/', "'HOW/WHOM'");
        return word switch
        {
            _ when word.SequenceEqual("signal"u8) => TimerNotify.Signal,
            _ when word.SequenceEqual("none"u8) => TimerNotify.None,
            _ when word.SequenceEqual("thread"u8) => TimerNotify.Thread,
            _ => throw line.Source.Malformed("signal, none or thread", word),
        };
    }
}
