using System.Buffers;
using CriuPS.Engine.Images;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Restore;

/// <summary>
/// What has to be done with pages that a child is born with, so that they become its own: images tell the content of both, and what is equal
/// stays one page of memory for both.
/// </summary>
internal sealed class PageComparison(PageMapChain child, PageMapChain? parent) : IDisposable
{
    private const int PiecePages = 64, PieceBytes = PiecePages * Kernel.Memory.PageSize;

    private readonly Dictionary<(PageMapChain Chain, int Level), SafeFileHandle> _files = [];
    private readonly byte[] _ours = ArrayPool<byte>.Shared.Rent(PieceBytes), _theirs = ArrayPool<byte>.Shared.Rent(PieceBytes);

    /// <summary>Pages that differ from the parent's, or that the parent has not: they are read from the child's image.</summary>
    public List<PageExtent> Writes { get; } = [];

    /// <summary>Pages that the parent has and the child has not.</summary>
    public List<(ulong Start, ulong End)> Drops { get; } = [];

    /// <summary>Pages that both have.</summary>
    public long Compared { get; private set; }

    /// <summary>Those of them that are equal.</summary>
    public long Equal { get; private set; }

    /// <summary>Compares what both have in a range.</summary>
    public void Compare(ulong start, ulong end)
    {
        List<PageExtent> own = [.. PagesIn(child, start, end)], other = parent is null ? [] : [.. PagesIn(parent, start, end)];
        int o = 0;
        foreach (PageExtent extent in own)
        {
            ulong at = extent.Address;
            while (at < extent.End)
            {
                while (o < other.Count && other[o].End <= at)
                {
                    o++;
                }

                bool common = o < other.Count && other[o].Address <= at;
                ulong stop = o == other.Count ? extent.End : Math.Min(extent.End, common ? other[o].End : other[o].Address);
                PageExtent part = Part(extent, at, stop);
                if (common)
                {
                    CompareContent(part, Part(other[o], at, stop));
                }
                else
                {
                    AddWrite(part);
                }

                at = stop;
            }
        }

        FindDrops(own, other);
    }

    public void Dispose()
    {
        ArrayPool<byte>.Shared.Return(_ours);
        ArrayPool<byte>.Shared.Return(_theirs);
        foreach (SafeFileHandle file in _files.Values)
        {
            file.Dispose();
        }
    }

    /// <summary>The pages of a chain that have content and lie in a range.</summary>
    public static IEnumerable<PageExtent> PagesIn(PageMapChain chain, ulong start, ulong end)
    {
        IReadOnlyList<PageExtent> extents = chain.Extents;
        for (int i = FirstEndingAfter(extents, start); i < extents.Count && extents[i].Address < end; i++)
        {
            if (extents[i].Offset >= 0)
            {
                yield return Part(extents[i], Math.Max(start, extents[i].Address), Math.Min(end, extents[i].End));
            }
        }
    }

    private static int FirstEndingAfter(IReadOnlyList<PageExtent> extents, ulong address)
    {
        int low = 0, high = extents.Count;
        while (low < high)
        {
            int middle = (low + high) / 2;
            (low, high) = extents[middle].End <= address ? (middle + 1, high) : (low, middle);
        }

        return low;
    }

    private static PageExtent Part(PageExtent extent, ulong start, ulong end) => extent with
    {
        Address = start, Pages = (end - start) / PageMap.PageSize, Offset = extent.Offset + (long)(start - extent.Address),
    };

    private void CompareContent(PageExtent ours, PageExtent theirs)
    {
        for (ulong done = 0; done < ours.Pages; done += PiecePages)
        {
            int pages = (int)Math.Min(PiecePages, ours.Pages - done), bytes = pages * (int)PageMap.PageSize;
            ulong at = ours.Address + done * PageMap.PageSize;
            Read(child, Part(ours, at, at + (ulong)bytes), _ours.AsSpan(0, bytes));
            Read(parent!, Part(theirs, at, at + (ulong)bytes), _theirs.AsSpan(0, bytes));
            for (int page = 0; page < pages; page++)
            {
                int offset = page * (int)PageMap.PageSize;
                Compared++;
                if (!_ours.AsSpan(offset, (int)PageMap.PageSize).SequenceEqual(_theirs.AsSpan(offset, (int)PageMap.PageSize)))
                {
                    AddWrite(Part(ours, at + (ulong)offset, at + (ulong)offset + PageMap.PageSize));
                }
                else
                {
                    Equal++;
                }
            }
        }
    }

    private void Read(PageMapChain chain, PageExtent extent, Span<byte> buffer)
    {
        if (!_files.TryGetValue((chain, extent.Level), out SafeFileHandle? file))
        {
            file = _files[(chain, extent.Level)] = chain.OpenPages(extent.Level)
                ?? throw new ImageException(ImageException.MissingImage, "pages", 0, "the pages file is missing");
        }

        if (RandomAccess.Read(file, buffer, extent.Offset) != buffer.Length)
        {
            throw new ImageException(ImageException.TruncatedImage, "pages", extent.Offset, "the pages file ends too early");
        }
    }

    private void AddWrite(PageExtent extent)
    {
        if (Writes.Count > 0 && Writes[^1] is var last && last.End == extent.Address && last.Level == extent.Level
            && last.Offset + (long)(last.Pages * PageMap.PageSize) == extent.Offset)
        {
            Writes[^1] = last with { Pages = last.Pages + extent.Pages };
        }
        else
        {
            Writes.Add(extent);
        }
    }

    // What is left of the parent's pages when the child's are taken away.
    private void FindDrops(List<PageExtent> own, List<PageExtent> other)
    {
        int o = 0;
        foreach (PageExtent extent in other)
        {
            ulong at = extent.Address;
            while (at < extent.End)
            {
                while (o < own.Count && own[o].End <= at)
                {
                    o++;
                }

                if (o == own.Count || own[o].Address > at)
                {
                    ulong stop = o == own.Count ? extent.End : Math.Min(extent.End, own[o].Address);
                    Drops.Add((at, stop));
                    at = stop;
                }
                else
                {
                    at = own[o].End;
                }
            }
        }
    }
}
