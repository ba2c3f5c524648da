namespace CriuPS.Engine.Proc;

/// <summary>A file handle as open_by_handle_at(2) takes it.</summary>
/// <param name="Type">The file system's own type of handle.</param>
/// <param name="Bytes">The handle.</param>
public sealed record FileHandle(int Type, byte[] Bytes)
{
    private const string Form = "'fhandle-bytes:HEX fhandle-type:HEX f_handle:HEX…'";

    /// <inheritdoc/>
    public bool Equals(FileHandle? other) => other is not null && Type == other.Type && Bytes.AsSpan().SequenceEqual(other.Bytes);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Type, Bytes.Length);

    // fs/notify/fdinfo.c, show_mark_fhandle: absent where the file system cannot make handles.
    internal static FileHandle? ParseEnd(ref ProcCursor line)
    {
        line.SkipBlanks();
        if (line.AtEnd)
        {
            return null;
        }

        line.Expect("fhandle-bytes:"u8, Form);
        uint length = line.SmallHex(Form);
        line.Expect(" fhandle-type:"u8, Form);
        int type = unchecked((int)line.SmallHex(Form));
        line.Expect(" f_handle:"u8, Form);
        ReadOnlySpan<byte> digits = line.Word(Form);
        byte[] bytes = new byte[digits.Length / 2];
        bool decoded = Convert.FromHexString(digits, bytes, out _, out int written) == System.Buffers.OperationStatus.Done;
        if (!decoded || written != length || digits.Length != 2 * length)
        {
            throw line.Source.Malformed($"{length} bytes of a file handle in hexadecimal", digits);
        }

        return new FileHandle(type, bytes);
    }
}

/// <summary>One watch of an inotify instance.</summary>
/// <param name="Watch">Its watch descriptor.</param>
/// <param name="Inode">The watched inode.</param>
/// <param name="SuperBlockDevice">Its file system's device: major number times 2^20 plus minor number.</param>
/// <param name="Mask">IN_* events.</param>
/// <param name="IgnoredMask">Events ignored; always 0 for inotify.</param>
/// <param name="Handle">How to open the inode again; null where its file system has no handles.</param>
public readonly record struct InotifyWatch(int Watch, ulong Inode, uint SuperBlockDevice, uint Mask, uint IgnoredMask, FileHandle? Handle)
{
    internal static InotifyWatch ParseLine(ProcCursor line)
    {
        const string Expected = "'inotify wd:HEX ino:HEX sdev:HEX mask:HEX ignored_mask:HEX'";
        int watch = unchecked((int)line.SmallHex(Expected));
        line.Expect(" ino:"u8, Expected);
        ulong inode = line.Hex(Expected);
        line.Expect(" sdev:"u8, Expected);
        uint device = line.SmallHex(Expected);
        line.Expect(" mask:"u8, Expected);
        uint mask = line.SmallHex(Expected);
        line.Expect(" ignored_mask:"u8, Expected);
        return new InotifyWatch(watch, inode, device, mask, line.SmallHex(Expected), FileHandle.ParseEnd(ref line));
    }
}

/// <summary>How a fanotify group was made (fanotify_init(2)).</summary>
/// <param name="Flags">FAN_* flags of the group.</param>
/// <param name="EventFlags">O_* flags for the files that it opens.</param>
public readonly record struct FanotifyGroup(uint Flags, uint EventFlags)
{
    internal static FanotifyGroup ParseLine(ProcCursor line)
    {
        const string Expected = "'fanotify flags:HEX event-flags:HEX'";
        uint flags = line.SmallHex(Expected);
        line.Expect(" event-flags:"u8, Expected);
        return new FanotifyGroup(flags, line.SmallHex(Expected));
    }
}

/// <summary>What a fanotify mark stands on.</summary>
public enum FanotifyMarkKind
{
    /// <summary>A file or directory.</summary>
    Inode,

    /// <summary>A mount.</summary>
    Mount,

    /// <summary>A file system.</summary>
    FileSystem,

    /// <summary>A mount namespace; since Linux 6.14.</summary>
    MountNamespace,
}

/// <summary>One mark of a fanotify group (fanotify_mark(2)).</summary>
/// <param name="Kind">What it stands on.</param>
/// <param name="ObjectId">The inode, the mount's number, or the namespace's; 0 for a file system.</param>
/// <param name="SuperBlockDevice">For inodes and file systems: the device, major number times 2^20 plus minor number.</param>
/// <param name="MarkFlags">FAN_MARK_* flags.</param>
/// <param name="Mask">FAN_* events.</param>
/// <param name="IgnoredMask">FAN_* events ignored.</param>
/// <param name="Handle">For inodes: how to open it again.</param>
public readonly record struct FanotifyMark(
    FanotifyMarkKind Kind, ulong ObjectId, uint SuperBlockDevice, uint MarkFlags, uint Mask, uint IgnoredMask, FileHandle? Handle)
{
    private const string Form = "'fanotify ino|mnt_id|sdev|mnt_ns:… mflags:HEX mask:HEX ignored_mask:HEX'";

    // fs/notify/fdinfo.c, fanotify_fdinfo: the first key tells what the mark stands on.
    internal static FanotifyMark ParseLine(ProcCursor line)
    {
        FanotifyMark mark = default;
        if (line.TryTake("ino:"u8))
        {
            mark = mark with { Kind = FanotifyMarkKind.Inode, ObjectId = line.Hex(Form) };
            line.Expect(" sdev:"u8, Form);
            mark = mark with { SuperBlockDevice = line.SmallHex(Form) };
        }
        else if (line.TryTake("mnt_id:"u8))
        {
            mark = mark with { Kind = FanotifyMarkKind.Mount, ObjectId = line.Hex(Form) };
        }
        else if (line.TryTake("mnt_ns:"u8))
        {
            mark = mark with { Kind = FanotifyMarkKind.MountNamespace, ObjectId = line.Decimal(Form) };
        }
        else
        {
            line.Expect("sdev:"u8, Form);
            mark = mark with { Kind = FanotifyMarkKind.FileSystem, SuperBlockDevice = line.SmallHex(Form) };
        }

        line.Expect(" mflags:"u8, Form);
        mark = mark with { MarkFlags = line.SmallHex(Form) };
        line.Expect(" mask:"u8, Form);
        mark = mark with { Mask = line.SmallHex(Form) };
        line.Expect(" ignored_mask:"u8, Form);
        return mark with { IgnoredMask = line.SmallHex(Form), Handle = FileHandle.ParseEnd(ref line) };
    }
}
