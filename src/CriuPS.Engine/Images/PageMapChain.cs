using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Images;

/// <summary>
/// A page map together with those of the previous rounds that it refers to. It tells for each page in which pages file and where its bytes
/// are, and has checked that they are there.
/// </summary>
public sealed class PageMapChain : IDisposable
{
    private readonly ImageType _type;
    private readonly ulong _id;
    private readonly List<ImageSet> _sets = [];
    private readonly List<PageMap> _maps = [];
    private readonly List<PageExtent> _extents = [];

    private PageMapChain(ImageType type, ulong id)
    {
        _type = type;
        _id = id;
    }

    /// <summary>The page maps: the set's own, then that of its parent and so on, as far as they were needed.</summary>
    public IReadOnlyList<PageMap> Levels => _maps;

    /// <summary>All pages by ascending address. Neighbours whose bytes follow one another in one file are one extent.</summary>
    public IReadOnlyList<PageExtent> Extents => _extents;

    /// <summary>Reads a page map, follows its parents and checks every reference.</summary>
    /// <param name="set">The set to start with; it stays the caller's.</param>
    /// <param name="type"><see cref="ImageType.PageMap"/> or <see cref="ImageType.ShmemPageMap"/>.</param>
    /// <param name="id">Whose pages.</param>
    /// <returns>Null when the set has no such page map.</returns>
    /// <exception cref="Errors.CriuException">Something cannot be read, a page is nowhere, or the parents form a ring.</exception>
    public static PageMapChain? Open(ImageSet set, ImageType type, ulong id)
    {
        if (PageMap.Read(set, type, id) is not { } first)
        {
            return null;
        }

        var chain = new PageMapChain(type, id);
        try
        {
            chain._sets.Add(set);
            chain._maps.Add(first);
            foreach (PageRange range in first.Ranges)
            {
                chain.Resolve(range, range.Address, range.Pages, level: 0);
            }

            return chain;
        }
        catch
        {
            chain.Dispose();
            throw;
        }
    }

    /// <summary>Opens the pages file of a level.</summary>
    /// <returns>The file, which is the caller's; null when no bytes are in it and it does not exist.</returns>
    /// <exception cref="Errors.KernelException">It cannot be opened.</exception>
    public SafeFileHandle? OpenPages(int level) => _sets[level].OpenRaw(ImageType.Pages, _maps[level].PagesId);

    /// <summary>Closes the parents' directories.</summary>
    public void Dispose() => _sets.Skip(1).ToList().ForEach(set => set.Dispose());

    // Places a piece of a run that was found in a level's page map; pieces that refer to the parent are looked up there, level by level.
    private void Resolve(PageRange range, ulong address, ulong pages, int level)
    {
        var work = new Stack<(PageRange Range, ulong Address, ulong Pages, int Level)>();
        work.Push((range, address, pages, level));
        while (work.TryPop(out (PageRange Range, ulong Address, ulong Pages, int Level) piece))
        {
            if (!piece.Range.Flags.HasFlag(PageFlags.Parent))
            {
                Place(piece.Range, piece.Address, piece.Pages, piece.Level);
                continue;
            }

            // The last piece is taken off the stack first: push them backwards.
            foreach ((PageRange found, ulong start, ulong count) in Lookup(piece.Address, piece.Pages, piece.Level + 1).Reverse())
            {
                work.Push((found, start, count, piece.Level + 1));
            }
        }
    }

    private IEnumerable<(PageRange Range, ulong Address, ulong Pages)> Lookup(ulong address, ulong pages, int level)
    {
        PageMap map = Level(level);
        ulong end = address + (pages * PageMap.PageSize);
        for (int i = map.IndexOf(address); address < end; i++)
        {
            if (i == map.Ranges.Count || map.Ranges[i].Address > address)
            {
                throw new ImageException(ImageException.BadPageMap, NameOf(level), 0,
                    $"the page at 0x{address:x} is not in it, but {NameOf(level - 1)} refers to it");
            }

            ulong stop = Math.Min(end, map.Ranges[i].End);
            yield return (map.Ranges[i], address, (stop - address) / PageMap.PageSize);
            address = stop;
        }
    }

    private PageMap Level(int level)
    {
        if (level == _maps.Count)
        {
            ImageSet child = _sets[level - 1];
            ImageSet parent = (level > child.Limits.ParentDepth ? null : child.OpenParent()) ?? throw Broken(child, level);
            _sets.Add(parent);
            if (_sets.SkipLast(1).Any(set => set.Identity() == parent.Identity()))
            {
                throw new ImageException(ImageException.BadParentChain, child.FullName(ImageSet.ParentName), 0,
                    "the directory is its own ancestor");
            }

            _maps.Add(PageMap.Read(parent, _type, _id) ?? throw new ImageException(ImageException.MissingImage,
                parent.FullName(_type.FileName(_id)), 0, $"there is no such file, but {NameOf(level - 1)} refers to it"));
        }

        return _maps[level];
    }

    private ImageException Broken(ImageSet child, int level) => level > child.Limits.ParentDepth
        ? new(ImageException.BadParentChain, child.FullName(ImageSet.ParentName), 0, $"there are more than {child.Limits.ParentDepth} parents")
        : new(ImageException.BadParentChain, child.FullName(ImageSet.ParentName), 0, $"there is no parent, but {NameOf(level - 1)} refers to one");

    private void Place(PageRange range, ulong address, ulong pages, int level)
    {
        long offset = range.Offset < 0 ? -1 : range.Offset + (long)(address - range.Address);
        bool lazy = range.Flags.HasFlag(PageFlags.Lazy);
        if (_extents.Count > 0 && Continues(_extents[^1], address, level, offset, lazy))
        {
            _extents[^1] = _extents[^1] with { Pages = _extents[^1].Pages + pages };
            return;
        }

        _extents.Add(new PageExtent(address, pages, level, offset, lazy));
    }

    private static bool Continues(PageExtent last, ulong address, int level, long offset, bool lazy) =>
        last.End == address && last.Level == level && last.Lazy == lazy
        && (offset < 0 ? last.Offset < 0 : last.Offset >= 0 && last.Offset + (long)(last.Pages * PageMap.PageSize) == offset);

    private string NameOf(int level) => _sets[level].FullName(_type.FileName(_id));
}
