namespace CriuPS.Engine.Proc;

/// <summary>
/// Who a task acts as, out of /proc/PID/status and /proc/PID/task/TID/status (proc_pid_status(5)): the few lines that differ between the threads of a process.
/// A process may have thousands of threads, so that nothing else of the file is looked at.
/// </summary>
internal sealed record ProcCredentials
{
    public ProcIds Uid { get; init; }

    public ProcIds Gid { get; init; }

    /// <summary>Supplementary groups.</summary>
    public IReadOnlyList<uint> Groups { get; init; } = [];

    /// <summary>Inheritable capabilities; bit N is capability N, as in all sets here.</summary>
    public ulong Inheritable { get; init; }

    public ulong Permitted { get; init; }

    public ulong Effective { get; init; }

    public ulong Bounding { get; init; }

    public ulong Ambient { get; init; }

    public bool NoNewPrivileges { get; init; }

    /// <summary>0 none, 1 strict, 2 filters; null where the kernel has no seccomp.</summary>
    public int? Seccomp { get; init; }

    /// <summary>Takes them out of what was read already.</summary>
    public static ProcCredentials Of(ProcStatus status) => new()
    {
        Uid = status.Uid, Gid = status.Gid, Groups = status.Groups,
        Inheritable = status.InheritableCapabilities, Permitted = status.PermittedCapabilities, Effective = status.EffectiveCapabilities,
        Bounding = status.BoundingCapabilities, Ambient = status.AmbientCapabilities,
        NoNewPrivileges = status.NoNewPrivileges == true, Seccomp = status.Seccomp,
    };

    /// <summary>Reads those of one task of a process.</summary>
    /// <inheritdoc cref="ProcDirectory.Parse{T}"/>
    public static ProcCredentials ReadTask(ProcDirectory directory, int tid) => directory.Parse($"task/{tid}/status", Parse, atOnce: true);

    /// <summary>Parses the text of a status file.</summary>
    /// <exception cref="Errors.CriuException"><c>MalformedProc</c>.</exception>
    public static ProcCredentials Parse(ReadOnlySpan<byte> text, ProcSource source = default)
    {
        // In the order of the file (fs/proc/array.c, proc_pid_status): each search begins where the one before it ended.
        ProcCursor rest = new(text, source);
        ProcIds uid = Ids(Line(ref rest, "\nUid:"u8)), gid = Ids(Line(ref rest, "\nGid:"u8));
        IReadOnlyList<uint> groups = GroupIds(Line(ref rest, "\nGroups:"u8));
        ulong inheritable = Set(Line(ref rest, "\nCapInh:"u8)), permitted = Set(Line(ref rest, "\nCapPrm:"u8)), effective = Set(Line(ref rest, "\nCapEff:"u8));
        ulong bounding = Set(Line(ref rest, "\nCapBnd:"u8)), ambient = Set(Line(ref rest, "\nCapAmb:"u8));
        return new ProcCredentials
        {
            Uid = uid, Gid = gid, Groups = groups,
            Inheritable = inheritable, Permitted = permitted, Effective = effective, Bounding = bounding, Ambient = ambient,
            NoNewPrivileges = Line(ref rest, "\nNoNewPrivs:"u8).SmallDecimal("0 or 1") != 0,
            Seccomp = TryLine(ref rest, "\nSeccomp:"u8, out ProcCursor mode) ? mode.SmallDecimal("a seccomp mode") : null,
        };
    }

    private static ProcCursor Line(ref ProcCursor rest, ReadOnlySpan<byte> key) =>
        TryLine(ref rest, key, out ProcCursor line) ? line : throw rest.Source.Malformed("the lines of credentials in their order", rest.Rest);

    // What follows a key; the line's end stays in front of the rest, since keys are looked for with it.
    private static bool TryLine(ref ProcCursor rest, ReadOnlySpan<byte> key, out ProcCursor line)
    {
        ReadOnlySpan<byte> text = rest.Rest;
        int at = text.IndexOf(key);
        line = default;
        if (at < 0)
        {
            return false;
        }

        ReadOnlySpan<byte> after = text[(at + key.Length)..];
        int length = after.IndexOf((byte)'\n');
        length = length < 0 ? after.Length : length;
        line = new ProcCursor(after[..length], rest.Source);
        rest = new ProcCursor(after[length..], rest.Source);
        return true;
    }

    private static ProcIds Ids(ProcCursor line) => ProcStatus.FourIds(ref line);

    private static IReadOnlyList<uint> GroupIds(ProcCursor line) => ProcStatus.GroupIds(ref line);

    private static ulong Set(ProcCursor line) => line.Hex("a capability set");
}
