namespace CriuPS.Engine.Proc;

/// <summary>Memory of one mapping, bytes (proc_pid_smaps(5)).</summary>
/// <param name="Resident">Rss: pages in memory.</param>
/// <param name="Proportional">Pss: each page divided by the number of processes that map it.</param>
/// <param name="SharedClean">Unmodified pages that others map too.</param>
/// <param name="SharedDirty">Modified pages that others map too.</param>
/// <param name="PrivateClean">Unmodified pages of this process alone.</param>
/// <param name="PrivateDirty">Modified pages of this process alone.</param>
/// <param name="Anonymous">Pages that no file holds, copied pages of a file mapping included.</param>
/// <param name="Swapped">Pages on a swap device.</param>
/// <param name="Locked">Pages locked in memory.</param>
public readonly record struct VmaUsage(
    long Resident,
    long Proportional,
    long SharedClean,
    long SharedDirty,
    long PrivateClean,
    long PrivateDirty,
    long Anonymous,
    long Swapped,
    long Locked);

/// <summary>One mapping of /proc/PID/smaps.</summary>
/// <param name="Vma">The mapping.</param>
/// <param name="Flags">Its VmFlags.</param>
/// <param name="UnknownFlags">VmFlags marks of a later kernel, separated by spaces; empty as a rule.</param>
/// <param name="ProtectionKey">Its key (pkeys(7)), 0 on processors without protection keys.</param>
/// <param name="PageSize">KernelPageSize, bytes: more than 4096 for hugetlbfs only.</param>
/// <param name="Usage">How much memory it takes.</param>
public readonly record struct SmapsEntry(Vma Vma, VmFlags Flags, OsText UnknownFlags, int ProtectionKey, long PageSize, VmaUsage Usage);

/// <summary>/proc/PID/smaps: the mappings with flags and memory. The kernel walks the page tables for it: far dearer than maps.</summary>
public static class ProcSmaps
{
    private const int KiB = 1024;

    /// <summary>Reads the mappings; see <see cref="ProcMaps.Read"/>.</summary>
    /// <inheritdoc cref="ProcDirectory.Parse{T}"/>
    public static List<SmapsEntry> Read(ProcDirectory directory)
    {
        List<SmapsEntry> entries = directory.Parse("smaps", Parse);
        for (int i = 0; i < entries.Count; i++)
        {
            entries[i] = entries[i] with { Vma = ProcMaps.Exact(directory, entries[i].Vma) };
        }

        return entries;
    }

    /// <summary>Parses the text of a smaps file.</summary>
    /// <exception cref="Errors.CriuException"><c>MalformedProc</c>.</exception>
    public static List<SmapsEntry> Parse(ReadOnlySpan<byte> text, ProcSource source = default)
    {
        var entries = new List<SmapsEntry>();
        var cursor = new ProcCursor(text, source);
        OsText lastPath = default;
        while (!cursor.AtEnd)
        {
            Vma vma = ProcMaps.ParseLine(cursor.Line(), ref lastPath);
            entries.Add(ParseDetails(ref cursor, vma));
        }

        return entries;
    }

    // The details of a mapping end where the next mapping's line begins: with a hexadecimal digit in lower case, never with a capital.
    private static SmapsEntry ParseDetails(ref ProcCursor cursor, Vma vma)
    {
        Span<char> buffer = stackalloc char[64];
        var entry = new SmapsEntry { Vma = vma };
        bool hasFlags = false;
        while (!cursor.AtEnd && cursor.Rest[0] is >= (byte)'A' and <= (byte)'Z')
        {
            ProcCursor line = cursor.Line();
            ReadOnlySpan<char> key = buffer[..ProcKey.Take(ref line, buffer)];
            if (key is "VmFlags")
            {
                hasFlags = true;
                SetFlags(ref entry, ref line);
            }
            else
            {
                SetNumber(ref entry, key, ref line);
            }
        }

        if (!hasFlags)
        {
            cursor.Fail($"a line 'VmFlags:' for mapping {vma.MapFileName}");
        }

        return entry;
    }

    private static void SetFlags(ref SmapsEntry entry, ref ProcCursor line)
    {
        VmFlags flags = VmFlags.None;
        string unknown = "";
        for (line.SkipBlanks(); !line.AtEnd; line.SkipBlanks())
        {
            ReadOnlySpan<byte> mark = line.Word("a flag");
            VmFlags flag = VmFlagNames.Find(mark);
            flags |= flag;
            unknown += flag == VmFlags.None ? " " + System.Text.Encoding.Latin1.GetString(mark) : "";
        }

        entry = entry with { Flags = flags, UnknownFlags = new OsText(unknown.TrimStart()) };
    }

    private static void SetNumber(ref SmapsEntry entry, scoped ReadOnlySpan<char> key, ref ProcCursor line)
    {
        long number = line.SignedDecimal("a number");
        long bytes = number * KiB;
        VmaUsage usage = entry.Usage;
        entry = key switch
        {
            "KernelPageSize" => entry with { PageSize = bytes },
            "ProtectionKey" => entry with { ProtectionKey = (int)number },
            "Rss" => entry with { Usage = usage with { Resident = bytes } },
            "Pss" => entry with { Usage = usage with { Proportional = bytes } },
            "Shared_Clean" => entry with { Usage = usage with { SharedClean = bytes } },
            "Shared_Dirty" => entry with { Usage = usage with { SharedDirty = bytes } },
            "Private_Clean" => entry with { Usage = usage with { PrivateClean = bytes } },
            "Private_Dirty" => entry with { Usage = usage with { PrivateDirty = bytes } },
            "Anonymous" => entry with { Usage = usage with { Anonymous = bytes } },
            "Swap" => entry with { Usage = usage with { Swapped = bytes } },
            "Locked" => entry with { Usage = usage with { Locked = bytes } },
            _ => entry,
        };
    }
}
