namespace CriuPS.Engine.Images;

/// <summary>Where the bytes of pages are (the flags of <c>pagemap_entry</c>).</summary>
[Flags]
public enum PageFlags : uint
{
    /// <summary>Nowhere: the pages are empty.</summary>
    None = 0,

    /// <summary>In the page map of the previous round.</summary>
    Parent = 1,

    /// <summary>They may be delivered after the restore, when the process asks for them.</summary>
    Lazy = 2,

    /// <summary>In the pages file of this page map.</summary>
    Present = 4,
}

/// <summary>A run of pages in a page map.</summary>
/// <param name="Address">Address of the first page, or its offset in a shared object; a multiple of the page size.</param>
/// <param name="Pages">How many pages, at least one.</param>
/// <param name="Flags">Where their bytes are.</param>
/// <param name="Offset">Where in the pages file, in bytes; -1 when they are not there.</param>
public readonly record struct PageRange(ulong Address, ulong Pages, PageFlags Flags, long Offset)
{
    /// <summary>The byte after the last page.</summary>
    public ulong End => Address + (Pages * PageMap.PageSize);
}
