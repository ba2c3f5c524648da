namespace CriuPS.Engine.Images;

/// <summary>
/// Writes a page map while somebody else puts the pages into the pages file: runs come by ascending address, and the bytes of those that
/// are present must be written to the pages file in the same order. Runs that continue one another become one entry.
/// </summary>
public sealed class PageMapWriter : IDisposable
{
    private readonly ImageWriter _writer;
    private PageRange _pending;
    private ulong _end;

    /// <summary>Starts a page map; its file exists from now on, even if no page follows.</summary>
    /// <param name="set">Where it belongs.</param>
    /// <param name="type"><see cref="ImageType.PageMap"/> or <see cref="ImageType.ShmemPageMap"/>.</param>
    /// <param name="id">Whose pages they are.</param>
    /// <param name="pagesId">N in the name <c>pages-N.img</c>; see <see cref="ImageSet.NextPagesId"/>.</param>
    /// <exception cref="Errors.CriuException">The file cannot be made or written.</exception>
    public PageMapWriter(ImageSet set, ImageType type, ulong id, uint pagesId)
    {
        PagesId = pagesId;
        _writer = set.CreateWriter(type, id);
        _writer.Write(new PagemapHead { PagesId = pagesId });
    }

    /// <summary>N in the name <c>pages-N.img</c>.</summary>
    public uint PagesId { get; }

    /// <summary>How many bytes the pages file must have by now.</summary>
    public long PresentBytes { get; private set; }

    /// <summary>How many pages have been added, those without bytes included.</summary>
    public ulong Pages { get; private set; }

    /// <summary>Adds a run of pages.</summary>
    /// <param name="address">Address of the first page, a multiple of the page size, not below the end of the run before.</param>
    /// <param name="pages">How many pages; none is allowed and adds nothing.</param>
    /// <param name="flags">Where their bytes are.</param>
    /// <exception cref="ArgumentException">The run is not aligned, out of order, or both here and in the parent.</exception>
    /// <exception cref="Errors.CriuException">The file cannot be written.</exception>
    public void Add(ulong address, ulong pages, PageFlags flags)
    {
        if (pages == 0)
        {
            return;
        }

        if (address % PageMap.PageSize != 0 || address < _end || flags.HasFlag(PageFlags.Parent | PageFlags.Present)
            || pages > (ulong.MaxValue - address) / PageMap.PageSize)
        {
            throw new ArgumentException($"a run of {pages} pages ({flags}) at 0x{address:x} cannot follow one that ends at 0x{_end:x}", nameof(address));
        }

        if (_pending.Pages > 0 && _end == address && _pending.Flags == flags)
        {
            _pending = _pending with { Pages = _pending.Pages + pages };
        }
        else
        {
            WritePending();
            _pending = new PageRange(address, pages, flags, -1);
        }

        _end = address + (pages * PageMap.PageSize);
        Pages += pages;
        PresentBytes += flags.HasFlag(PageFlags.Present) ? (long)(pages * PageMap.PageSize) : 0;
    }

    /// <summary>Writes the last run and closes the file. Must come before the set is completed; after it was discarded it does nothing.</summary>
    /// <exception cref="Errors.CriuException">The file cannot be written.</exception>
    public void Dispose()
    {
        try
        {
            if (!_writer.IsAbandoned)
            {
                WritePending();
            }
        }
        finally
        {
            _writer.Dispose();
        }
    }

    private void WritePending()
    {
        if (_pending.Pages > 0)
        {
            // The 32-bit number of old is for CRIU before 4.2, which knows no other; where both are, the 64-bit one counts.
            _writer.Write(new PagemapEntry
            {
                Vaddr = _pending.Address,
                CompatNrPages = _pending.Pages <= uint.MaxValue ? (uint)_pending.Pages : 0,
                Flags = (uint)_pending.Flags,
                NrPages = _pending.Pages,
            });
            _pending = default;
        }
    }
}
