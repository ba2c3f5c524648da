namespace CriuPS.Engine.Proc;

/// <summary>A line of /proc/PID/cgroup (cgroups(7)): which cgroup of one hierarchy a process is in.</summary>
/// <param name="HierarchyId">The hierarchy's number in /proc/cgroups; 0 for the unified one.</param>
/// <param name="Controllers">Controllers separated by commas, or <c>name=…</c>; empty for the unified hierarchy.</param>
/// <param name="Path">
/// The cgroup below the root of the reader's cgroup namespace, ".." for one that lies outside; with <c> (deleted)</c> behind it if removed.
/// </param>
public readonly record struct CgroupMembership(int HierarchyId, OsText Controllers, OsText Path)
{
    /// <summary>Whether it is the hierarchy of cgroup version 2.</summary>
    public bool IsUnified => HierarchyId == 0;

    /// <summary>Reads the memberships.</summary>
    /// <inheritdoc cref="ProcDirectory.Parse{T}"/>
    public static List<CgroupMembership> Read(ProcDirectory directory) => directory.Parse("cgroup", ParseFile);

    /// <summary>Parses the text of a cgroup file.</summary>
    /// <exception cref="Errors.CriuException"><c>MalformedProc</c>.</exception>
    public static List<CgroupMembership> ParseFile(ReadOnlySpan<byte> text, ProcSource source = default)
    {
        const string Expected = "'HIERARCHY:CONTROLLERS:PATH'";
        var memberships = new List<CgroupMembership>();
        var cursor = new ProcCursor(text, source);
        while (!cursor.AtEnd)
        {
            // A cgroup's name may hold colons but no newline (kernel/cgroup/cgroup.c, cgroup_mkdir).
            ProcCursor line = cursor.Line();
            int id = line.SmallDecimal(Expected);
            line.Expect(":"u8, Expected);
            var controllers = new OsText(line.Until((byte)':', Expected));
            memberships.Add(new CgroupMembership(id, controllers, new OsText(line.Rest)));
        }

        return memberships;
    }
}
