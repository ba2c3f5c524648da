namespace CriuPS.Engine.Proc;

/// <summary>/proc/PID/maps: the mappings of a process, by ascending address (proc_pid_maps(5)).</summary>
public static class ProcMaps
{
    private static ReadOnlySpan<byte> EscapedNewline => "\\012"u8;

    /// <summary>Reads the mappings. A process that runs may change them in between; of a frozen one they are exact.</summary>
    /// <remarks>
    /// The text has <c>\012</c> for a newline but leaves backslashes alone (fs/proc/task_mmu.c, show_vma_header_prefix and its callers), so
    /// that a file whose name holds those four characters looks the same. For such a path the link in map_files decides, where it can be
    /// read.
    /// </remarks>
    /// <inheritdoc cref="ProcDirectory.Parse{T}"/>
    public static List<Vma> Read(ProcDirectory directory)
    {
        List<Vma> mappings = directory.Parse("maps", Parse);
        for (int i = 0; i < mappings.Count; i++)
        {
            mappings[i] = Exact(directory, mappings[i]);
        }

        return mappings;
    }

    /// <summary>Parses the text of a maps file; <c>\012</c> in a path is taken for a newline.</summary>
    /// <exception cref="Errors.CriuException"><c>MalformedProc</c>.</exception>
    public static List<Vma> Parse(ReadOnlySpan<byte> text, ProcSource source = default)
    {
        var mappings = new List<Vma>(text.Count((byte)'\n'));
        var cursor = new ProcCursor(text, source);
        OsText lastPath = default;
        while (!cursor.AtEnd)
        {
            mappings.Add(ParseLine(cursor.Line(), ref lastPath));
        }

        return mappings;
    }

    /// <summary>Replaces a path that may have held a newline by the one that map_files tells.</summary>
    internal static Vma Exact(ProcDirectory directory, Vma vma)
    {
        bool ambiguous = vma.HasFile && vma.Path.Bytes.Contains((byte)'\n');
        return ambiguous && MapFiles.TryReadPath(directory, vma) is { } path ? vma with { Path = path } : vma;
    }

    /// <summary>Parses one line.</summary>
    /// <param name="line">The line without its newline.</param>
    /// <param name="lastPath">The path of the line before: neighbours mostly map the same file and then share its text.</param>
    internal static Vma ParseLine(ProcCursor line, ref OsText lastPath)
    {
        ulong start = line.Hex("the first address");
        line.Expect("-"u8, "'-' between the addresses");
        ulong end = line.Hex("the end address");
        line.Expect(" "u8, "a space and the permissions");
        VmaProtection protection = Protection(ref line, out bool shared);
        ulong offset = line.Hex("the offset");
        uint major = line.SmallHex("the device's major number");
        line.Expect(":"u8, "':' and the device's minor number");
        uint minor = line.SmallHex("the device's minor number");
        ulong inode = line.Decimal("the inode number");
        if (end <= start || (!line.AtEnd && line.Rest[0] != ' '))
        {
            line.Fail("a range of addresses, permissions, offset, device, inode and path");
        }

        line.SkipBlanks();
        if (!line.Rest.SequenceEqual(lastPath.Bytes))
        {
            lastPath = Unescape(line.Rest);
        }

        return new Vma(start, end, protection, shared, offset, major, minor, inode, lastPath);
    }

    private static VmaProtection Protection(ref ProcCursor line, out bool shared)
    {
        ReadOnlySpan<byte> letters = line.Word("the permissions");
        if (letters.Length != 4)
        {
            line.Fail("four letters of permissions");
        }

        shared = letters[3] == 's';
        bool known = letters[0] is (byte)'r' or (byte)'-' && letters[1] is (byte)'w' or (byte)'-'
            && letters[2] is (byte)'x' or (byte)'-' && (shared || letters[3] == 'p');
        if (!known)
        {
            line.Fail("permissions of the form rwxp");
        }

        return (letters[0] == 'r' ? VmaProtection.Read : 0)
            | (letters[1] == 'w' ? VmaProtection.Write : 0)
            | (letters[2] == 'x' ? VmaProtection.Execute : 0);
    }

    private static OsText Unescape(ReadOnlySpan<byte> path)
    {
        int at = path.IndexOf(EscapedNewline);
        if (at < 0)
        {
            return new OsText(path);
        }

        byte[] bytes = new byte[path.Length];
        int length = 0;
        for (; at >= 0; at = path.IndexOf(EscapedNewline))
        {
            path[..at].CopyTo(bytes.AsSpan(length));
            length += at;
            bytes[length++] = (byte)'\n';
            path = path[(at + EscapedNewline.Length)..];
        }

        path.CopyTo(bytes.AsSpan(length));
        return new OsText(bytes.AsSpan(0, length + path.Length));
    }
}
