namespace CriuPS.Engine.Proc;

/// <summary>Whose lock it is.</summary>
public enum FileLockKind
{
    /// <summary>fcntl(F_SETLK): of a process.</summary>
    Posix,

    /// <summary>flock: of an open file.</summary>
    Flock,

    /// <summary>fcntl(F_OFD_SETLK): of an open file, on a range.</summary>
    OpenFileDescription,

    /// <summary>fcntl(F_SETLEASE).</summary>
    Lease,

    /// <summary>A lease that an NFS server holds for a client.</summary>
    Delegation,
}

/// <summary>What a lock allows; the values are F_RDLCK, F_WRLCK and F_UNLCK.</summary>
public enum FileLockType
{
    /// <summary>Shared.</summary>
    Read = 0,

    /// <summary>Exclusive.</summary>
    Write = 1,

    /// <summary>None: what a lease turns into when it is broken.</summary>
    Unlock = 2,
}

/// <summary>How firm a lease is.</summary>
public enum LeaseState
{
    /// <summary>Not a lease, or one that nobody disputes.</summary>
    Active,

    /// <summary>Somebody else wants the file and the holder has been told.</summary>
    Breaking,

    /// <summary>The entry is that of the one who wants the file.</summary>
    Breaker,
}

/// <summary>A file lock as /proc/locks and fdinfo show it (proc_locks(5); fs/locks.c, lock_get_status).</summary>
/// <param name="Id">The line's number; in /proc/locks those who wait have the number of the lock that they wait for.</param>
/// <param name="Waiting">Whether it waits for another lock.</param>
/// <param name="Kind">Whose it is.</param>
/// <param name="Type">What it allows.</param>
/// <param name="Lease">For leases: how firm it is.</param>
/// <param name="Pid">Who took it, in the reader's pid namespace; -1 for open file descriptions, 0 for somebody not seen from here.</param>
/// <param name="DeviceMajor">Major number of the file system's device.</param>
/// <param name="DeviceMinor">Minor number of the file system's device.</param>
/// <param name="Inode">The file's inode number.</param>
/// <param name="Start">First byte.</param>
/// <param name="Last">Last byte; <see cref="long.MaxValue"/> for the end of the file, wherever it moves.</param>
public readonly record struct FileLock(
    long Id, bool Waiting, FileLockKind Kind, FileLockType Type, LeaseState Lease, int Pid,
    uint DeviceMajor, uint DeviceMinor, ulong Inode, long Start, long Last)
{
    private const string LineForm = "a lock line 'NUMBER: KIND MODE TYPE PID MAJOR:MINOR:INODE START END'";

    /// <summary>Parses the text of /proc/locks.</summary>
    /// <exception cref="Errors.CriuException"><c>MalformedProc</c>.</exception>
    public static List<FileLock> ParseFile(ReadOnlySpan<byte> text, ProcSource source = default)
    {
        var locks = new List<FileLock>();
        var cursor = new ProcCursor(text, source);
        while (!cursor.AtEnd)
        {
            locks.Add(ParseLine(cursor.Line()));
        }

        return locks;
    }

    /// <summary>Parses one line, from its number on.</summary>
    internal static FileLock ParseLine(ProcCursor line)
    {
        long id = line.SignedDecimal(LineForm);
        line.Expect(":"u8, LineForm);
        line.SkipBlanks();
        bool waiting = line.TryTake("->"u8);
        FileLockKind kind = TakeKind(ref line);
        LeaseState lease = TakeMode(ref line);
        FileLockType type = TakeType(ref line);
        int pid = line.SmallDecimal(LineForm);
        uint major = line.SmallHex(LineForm);
        line.Expect(":"u8, LineForm);
        uint minor = line.SmallHex(LineForm);
        line.Expect(":"u8, LineForm);
        ulong inode = line.Decimal(LineForm);
        long start = line.SignedDecimal(LineForm);
        line.SkipBlanks();
        long last = line.TryTake("EOF"u8) ? long.MaxValue : line.SignedDecimal(LineForm);
        line.End("the end of the lock line");
        return new FileLock(id, waiting, kind, type, lease, pid, major, minor, inode, start, last);
    }

    private static FileLockKind TakeKind(ref ProcCursor line)
    {
        ReadOnlySpan<byte> word = line.Word(LineForm);
        return word switch
        {
            _ when word.SequenceEqual("POSIX"u8) => FileLockKind.Posix,
            _ when word.SequenceEqual("FLOCK"u8) => FileLockKind.Flock,
            _ when word.SequenceEqual("OFDLCK"u8) => FileLockKind.OpenFileDescription,
            _ when word.SequenceEqual("LEASE"u8) => FileLockKind.Lease,
            _ when word.SequenceEqual("DELEG"u8) => FileLockKind.Delegation,
            _ => throw line.Source.Malformed("POSIX, FLOCK, OFDLCK, LEASE or DELEG", word),
        };
    }

    private static LeaseState TakeMode(ref ProcCursor line)
    {
        ReadOnlySpan<byte> word = line.Word(LineForm);
        return word switch
        {
            _ when word.SequenceEqual("ADVISORY"u8) || word.SequenceEqual("ACTIVE"u8) => LeaseState.Active,
            _ when word.SequenceEqual("BREAKING"u8) => LeaseState.Breaking,
            _ when word.SequenceEqual("BREAKER"u8) => LeaseState.Breaker,
            _ => throw line.Source.Malformed("ADVISORY, ACTIVE, BREAKING or BREAKER", word),
        };
    }

    private static FileLockType TakeType(ref ProcCursor line)
    {
        ReadOnlySpan<byte> word = line.Word(LineForm);
        return word switch
        {
            _ when word.SequenceEqual("READ"u8) => FileLockType.Read,
            _ when word.SequenceEqual("WRITE"u8) => FileLockType.Write,
            _ when word.SequenceEqual("UNLCK"u8) => FileLockType.Unlock,
            _ => throw line.Source.Malformed("READ, WRITE or UNLCK", word),
        };
    }
}
