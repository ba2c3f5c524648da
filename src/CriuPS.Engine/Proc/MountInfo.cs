namespace CriuPS.Engine.Proc;

/// <summary>One mount of /proc/PID/mountinfo (proc_pid_mountinfo(5)).</summary>
public sealed record MountInfo
{
    private const string LineForm = "'ID PARENT MAJOR:MINOR ROOT MOUNTPOINT OPTIONS [TAG…] - TYPE SOURCE OPTIONS'";

    /// <summary>The mount's number, used again once it is unmounted.</summary>
    public required int Id { get; init; }

    /// <summary>The mount that it stands on; its own number for the root of the namespace.</summary>
    public required int ParentId { get; init; }

    /// <summary>Major number of the file system's device.</summary>
    public required uint DeviceMajor { get; init; }

    /// <summary>Minor number of the file system's device.</summary>
    public required uint DeviceMinor { get; init; }

    /// <summary>The directory of the file system that is the root of this mount; ends in <c>//deleted</c> if that is removed.</summary>
    public required OsText Root { get; init; }

    /// <summary>Where it is, relative to the root of the process.</summary>
    public required OsText MountPoint { get; init; }

    /// <summary>Options of the mount, separated by commas.</summary>
    public required OsText Options { get; init; }

    /// <summary>Peer group that it belongs to (<c>shared:N</c>).</summary>
    public int? SharedGroup { get; init; }

    /// <summary>Peer group that it receives from (<c>master:N</c>).</summary>
    public int? MasterGroup { get; init; }

    /// <summary>The nearest peer group below the root of the process that it receives from (<c>propagate_from:N</c>).</summary>
    public int? PropagateFrom { get; init; }

    /// <summary>Whether it may not be bind mounted (<c>unbindable</c>).</summary>
    public bool Unbindable { get; init; }

    /// <summary>Tags of a later kernel, separated by blanks; empty as a rule.</summary>
    public OsText OtherTags { get; init; }

    /// <summary>The type, with a subtype behind a dot (<c>fuse.sshfs</c>).</summary>
    public required OsText FileSystemType { get; init; }

    /// <summary>What the file system was mounted from; may be empty.</summary>
    public required OsText Source { get; init; }

    /// <summary>Options of the file system, separated by commas; left escaped, for a comma inside a value is <c>\054</c>.</summary>
    public required OsText SuperOptions { get; init; }

    /// <summary>Reads the mounts of a process's mount namespace, as far as its root lets them be seen.</summary>
    /// <inheritdoc cref="ProcDirectory.Parse{T}"/>
    public static List<MountInfo> Read(ProcDirectory directory) => directory.Parse("mountinfo", ParseFile);

    /// <summary>Parses the text of a mountinfo file.</summary>
    /// <exception cref="Errors.CriuException"><c>MalformedProc</c>.</exception>
    public static List<MountInfo> ParseFile(ReadOnlySpan<byte> text, ProcSource source = default)
    {
        var mounts = new List<MountInfo>(text.Count((byte)'\n'));
        var cursor = new ProcCursor(text, source);
        while (!cursor.AtEnd)
        {
            mounts.Add(ParseLine(cursor.Line()));
        }

        return mounts;
    }

    // Fields are separated by one blank each: a source may be empty, so that two blanks follow each other.
    private static MountInfo ParseLine(ProcCursor line)
    {
        int id = line.SmallDecimal(LineForm);
        int parent = line.SmallDecimal(LineForm);
        uint major = line.UnsignedDecimal(LineForm);
        line.Expect(":"u8, LineForm);
        uint minor = line.UnsignedDecimal(LineForm);
        line.Expect(" "u8, LineForm);
        OsText root = OctalEscape.Decode(line.Until((byte)' ', LineForm));
        OsText mountPoint = OctalEscape.Decode(line.Until((byte)' ', LineForm));
        var options = new OsText(line.Until((byte)' ', LineForm));
        Tags tags = TakeTags(ref line);
        OsText type = OctalEscape.Decode(line.Until((byte)' ', LineForm));
        OsText source = OctalEscape.Decode(line.Until((byte)' ', LineForm));
        return new MountInfo
        {
            Id = id, ParentId = parent, DeviceMajor = major, DeviceMinor = minor, Root = root, MountPoint = mountPoint, Options = options,
            SharedGroup = tags.Shared, MasterGroup = tags.Master, PropagateFrom = tags.From, Unbindable = tags.Unbindable,
            OtherTags = new OsText(tags.Other ?? ""), FileSystemType = type, Source = source, SuperOptions = new OsText(line.Rest),
        };
    }

    private static Tags TakeTags(ref ProcCursor line)
    {
        Tags tags = default;
        while (!line.TryTake("- "u8))
        {
            var tag = new ProcCursor(line.Until((byte)' ', LineForm), line.Source);
            if (tag.TryTake("shared:"u8))
            {
                tags.Shared = tag.SmallDecimal("a peer group");
            }
            else if (tag.TryTake("master:"u8))
            {
                tags.Master = tag.SmallDecimal("a peer group");
            }
            else if (tag.TryTake("propagate_from:"u8))
            {
                tags.From = tag.SmallDecimal("a peer group");
            }
            else if (tag.TryTake("unbindable"u8))
            {
                tags.Unbindable = true;
            }
            else
            {
                tags.Other = (tags.Other is null ? "" : tags.Other + " ") + System.Text.Encoding.Latin1.GetString(tag.Rest);
            }
        }

        return tags;
    }

    private struct Tags
    {
        public int? Shared, Master, From;
        public bool Unbindable;
        public string? Other;
    }
}
