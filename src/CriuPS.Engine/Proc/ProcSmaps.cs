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

    /// <summary>A mapping takes 700 bytes and more: enough for a list that need not grow.</summary>
    private const int LeastBytes = 640;

    /// <summary>Reads the mappings; see <see cref="ProcMaps.Read"/>.</summary>
    /// <inheritdoc cref="ProcDirectory.Parse{T}"/>
    public static List<SmapsEntry> Read(ProcDirectory directory) => Exact(directory, directory.Parse("smaps", Parse));

    /// <summary>Reads the mappings without their <see cref="SmapsEntry.Usage"/>, which takes half of the time.</summary>
    /// <inheritdoc cref="ProcDirectory.Parse{T}"/>
    public static List<SmapsEntry> ReadFlags(ProcDirectory directory) => Exact(directory, directory.Parse("smaps", ParseFlags));

    /// <summary>Parses the text of a smaps file.</summary>
    /// <exception cref="Errors.CriuException"><c>MalformedProc</c>.</exception>
    public static List<SmapsEntry> Parse(ReadOnlySpan<byte> text, ProcSource source = default) => Parse(text, source, withUsage: true);

    /// <summary>Parses the text of a smaps file, but passes over how much memory the mappings take.</summary>
    /// <exception cref="Errors.CriuException"><c>MalformedProc</c>.</exception>
    public static List<SmapsEntry> ParseFlags(ReadOnlySpan<byte> text, ProcSource source = default) =>
        Parse(text, source, withUsage: false);

    private static List<SmapsEntry> Parse(ReadOnlySpan<byte> text, ProcSource source, bool withUsage)
    {
        var entries = new List<SmapsEntry>(text.Length / LeastBytes);
        var cursor = new ProcCursor(text, source);
        OsText lastPath = default;
        while (!cursor.AtEnd)
        {
            Vma vma = ProcMaps.ParseLine(cursor.Line(), ref lastPath);
            entries.Add(ParseDetails(ref cursor, vma, withUsage));
        }

        return entries;
    }

    private static List<SmapsEntry> Exact(ProcDirectory directory, List<SmapsEntry> entries)
    {
        for (int i = 0; i < entries.Count; i++)
        {
            Vma exact = ProcMaps.Exact(directory, entries[i].Vma);
            if (exact != entries[i].Vma)
            {
                entries[i] = entries[i] with { Vma = exact };
            }
        }

        return entries;
    }

    // The details of a mapping end where the next mapping's line begins: with a hexadecimal digit in lower case, never with a capital.
    private static SmapsEntry ParseDetails(ref ProcCursor cursor, Vma vma, bool withUsage)
    {
        Span<char> buffer = stackalloc char[64];
        Details details = default;
        while (!cursor.AtEnd && cursor.Rest[0] is >= (byte)'A' and <= (byte)'Z')
        {
            // Of VmFlags, ProtectionKey and KernelPageSize only the first letter is looked at: most lines begin with another one.
            bool wanted = withUsage || cursor.Rest[0] is (byte)'V' or (byte)'P' or (byte)'K';
            ProcCursor line = cursor.Line();
            if (!wanted)
            {
                continue;
            }

            ReadOnlySpan<char> key = buffer[..ProcKey.Take(ref line, buffer)];
            if (key is "VmFlags")
            {
                details.TakeFlags(ref line);
            }
            else
            {
                details.TakeNumber(key, ref line, withUsage);
            }
        }

        if (!details.HasFlags)
        {
            cursor.Fail($"a line 'VmFlags:' for mapping {vma.MapFileName}");
        }

        return details.ToEntry(vma);
    }

    /// <summary>What is known of a mapping while its lines are read.</summary>
    private struct Details
    {
        private VmFlags _flags;
        private string? _unknownFlags;
        private long _key, _pageSize, _resident, _proportional, _sharedClean, _sharedDirty, _privateClean, _privateDirty, _anonymous;
        private long _swapped, _locked;

        public bool HasFlags { get; private set; }

        public readonly SmapsEntry ToEntry(Vma vma) => new(
            vma, _flags, _unknownFlags is null ? default : new OsText(_unknownFlags), (int)_key, _pageSize * KiB,
            new VmaUsage(
                _resident * KiB, _proportional * KiB, _sharedClean * KiB, _sharedDirty * KiB, _privateClean * KiB, _privateDirty * KiB,
                _anonymous * KiB, _swapped * KiB, _locked * KiB));

        public void TakeFlags(ref ProcCursor line)
        {
            HasFlags = true;
            for (line.SkipBlanks(); !line.AtEnd; line.SkipBlanks())
            {
                ReadOnlySpan<byte> mark = line.Word("a flag");
                VmFlags flag = VmFlagNames.Find(mark);
                _flags |= flag;
                if (flag == VmFlags.None)
                {
                    string unknown = System.Text.Encoding.Latin1.GetString(mark);
                    _unknownFlags = _unknownFlags is null ? unknown : $"{_unknownFlags} {unknown}";
                }
            }
        }

        public void TakeNumber(scoped ReadOnlySpan<char> key, ref ProcCursor line, bool withUsage)
        {
            long number = line.SignedDecimal("a number");
            switch (key)
            {
                case "KernelPageSize": _pageSize = number; break;
                case "ProtectionKey": _key = number; break;
                case var _ when !withUsage: break;
                case "Rss": _resident = number; break;
                case "Pss": _proportional = number; break;
                case "Shared_Clean": _sharedClean = number; break;
                case "Shared_Dirty": _sharedDirty = number; break;
                case "Private_Clean": _privateClean = number; break;
                case "Private_Dirty": _privateDirty = number; break;
                case "Anonymous": _anonymous = number; break;
                case "Swap": _swapped = number; break;
                case "Locked": _locked = number; break;
            }
        }
    }
}
