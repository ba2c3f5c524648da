using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Images;

/// <summary>
/// A page map as it is in its file: which pages of a process or of a shared object there are, and where in the pages file. Parents are
/// resolved by <see cref="PageMapChain"/>.
/// </summary>
public sealed class PageMap
{
    private PageMap(ImageType type, ulong id, uint pagesId, IReadOnlyList<PageRange> ranges, long presentBytes)
    {
        Type = type;
        Id = id;
        PagesId = pagesId;
        Ranges = ranges;
        PresentBytes = presentBytes;
    }

    /// <summary>Size of a page in bytes. Images have the page size of the machine that made them.</summary>
    public static ulong PageSize { get; } = (ulong)Environment.SystemPageSize;

    /// <summary><see cref="ImageType.PageMap"/> or <see cref="ImageType.ShmemPageMap"/>.</summary>
    public ImageType Type { get; }

    /// <summary>Whose pages they are.</summary>
    public ulong Id { get; }

    /// <summary>N in the name <c>pages-N.img</c>.</summary>
    public uint PagesId { get; }

    /// <summary>The runs of pages by ascending address, without overlaps.</summary>
    public IReadOnlyList<PageRange> Ranges { get; }

    /// <summary>How many bytes the pages file must have.</summary>
    public long PresentBytes { get; }

    /// <summary>Reads a page map and checks that it is consistent and that every byte lies in its pages file.</summary>
    /// <returns>Null when there is no such file.</returns>
    /// <exception cref="Errors.CriuException">It cannot be read, contradicts itself, or its pages file is missing or too short.</exception>
    public static PageMap? Read(ImageSet set, ImageType type, ulong id)
    {
        using ImageReader? reader = set.OpenReader(type, id);
        if (reader is null)
        {
            return null;
        }

        PagemapHead head = reader.Read<PagemapHead>()
            ?? throw new ImageException(ImageException.TruncatedImage, reader.FileName, 0, "it has no entry");
        var ranges = new List<PageRange>();
        long present = 0;
        ulong pages = 0;
        while (reader.Read<PagemapEntry>() is { } entry)
        {
            PageRange range = ToRange(entry, present, ranges, reader);
            pages += range.Pages;
            if (pages > set.Limits.Pages)
            {
                throw new ImageException(ImageException.EntryTooLarge, reader.FileName, reader.EntryOffset,
                    $"there are more than {set.Limits.Pages} pages");
            }

            present += range.Offset < 0 ? 0 : (long)(range.Pages * PageSize);
            ranges.Add(range);
        }

        RequirePages(set, reader.FileName, head.PagesId, present);
        return new PageMap(type, id, head.PagesId, ranges, present);
    }

    /// <summary>Finds the index of the run that holds an address, or of the first one behind it.</summary>
    internal int IndexOf(ulong address)
    {
        int low = 0, high = Ranges.Count;
        while (low < high)
        {
            int middle = (low + high) / 2;
            (low, high) = Ranges[middle].End <= address ? (middle + 1, high) : (low, middle);
        }

        return low;
    }

    private static PageRange ToRange(PagemapEntry entry, long offset, List<PageRange> before, ImageReader reader)
    {
        ulong pages = entry.HasNrPages ? entry.NrPages : entry.CompatNrPages;
        PageFlags flags = FlagsOf(entry);
        string? fault =
            pages == 0 ? "has no pages"
            : entry.Vaddr % PageSize != 0 ? $"begins at 0x{entry.Vaddr:x}, which is no multiple of the page size {PageSize}"
            : pages > (ulong.MaxValue - entry.Vaddr) / PageSize || pages > (ulong)(long.MaxValue - offset) / PageSize
                ? $"has {pages} pages, more than there can be after 0x{entry.Vaddr:x}"
            : before.Count > 0 && before[^1].End > entry.Vaddr ? $"begins at 0x{entry.Vaddr:x}, before the end of the one before it"
            : flags.HasFlag(PageFlags.Parent | PageFlags.Present) ? "says that its bytes are both here and in the parent"
            : null;
        return fault is null
            ? new PageRange(entry.Vaddr, pages, flags, flags.HasFlag(PageFlags.Present) ? offset : -1)
            : throw new ImageException(ImageException.BadPageMap, reader.FileName, reader.EntryOffset, $"a run of pages {fault}");
    }

    // Three generations of writers: a parent bit alone, nothing at all for pages that are here, flags.
    private static PageFlags FlagsOf(PagemapEntry entry)
    {
        PageFlags flags = entry.HasFlags ? (PageFlags)entry.Flags : entry.InParent ? PageFlags.None : PageFlags.Present;
        return entry.InParent ? flags | PageFlags.Parent : flags;
    }

    private static void RequirePages(ImageSet set, string mapName, uint pagesId, long present)
    {
        if (present == 0)
        {
            return;
        }

        string name = set.FullName(ImageType.Pages.FileName(pagesId));
        using SafeFileHandle pages = set.OpenRaw(ImageType.Pages, pagesId)
            ?? throw new ImageException(ImageException.MissingImage, name, 0, $"there is no such file, and {mapName} has {present} bytes in it");
        long length = RandomAccess.GetLength(pages);
        if (length < present)
        {
            throw new ImageException(ImageException.TruncatedImage, name, length,
                $"the file ends, but {mapName} has {present} bytes in it");
        }
    }
}
