using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Images;

/// <summary>
/// Takes pages out of the sets of previous rounds that a later round has written anew, by punching holes into their pages files. What is left is enough to
/// restore the last round, and no other.
/// </summary>
public static class Deduplication
{
    /// <summary>Takes out what the set in a directory supersedes.</summary>
    /// <returns>How many bytes of older rounds are superseded.</returns>
    /// <exception cref="CriuException">A page map or a parent cannot be read, or a pages file cannot be changed.</exception>
    public static long Run(string directory)
    {
        using ImageSet set = ImageSet.Open(directory);
        using ImageSet? parent = set.OpenParent();
        if (parent is null)
        {
            return 0;
        }

        long bytes = 0;
        foreach (ImageFile file in set.ListFiles().Where(f => f.Type == ImageType.PageMap || f.Type == ImageType.ShmemPageMap))
        {
            IEnumerable<PageRange> own = PageMap.Read(set, file.Type, file.Id!.Value)!.Ranges.Where(r => r.Flags.HasFlag(PageFlags.Present));
            bytes += Punch(parent, file, [.. own.Select(r => (r.Address, r.End))], depth: 1);
        }

        return bytes;
    }

    // What a parent itself has from its own parent is superseded there.
    private static long Punch(ImageSet set, ImageFile file, List<(ulong Start, ulong End)> superseded, int depth)
    {
        if (PageMap.Read(set, file.Type, file.Id!.Value) is not { } map || superseded.Count == 0)
        {
            return 0;
        }

        List<(ulong Start, ulong End)> deeper = [];
        List<(long Offset, long Length)> holes = [];
        foreach ((ulong start, ulong end) in superseded)
        {
            for (int i = map.IndexOf(start); i < map.Ranges.Count && map.Ranges[i].Address < end; i++)
            {
                PageRange range = map.Ranges[i];
                (ulong from, ulong to) = (Math.Max(start, range.Address), Math.Min(end, range.End));
                if (range.Flags.HasFlag(PageFlags.Parent))
                {
                    deeper.Add((from, to));
                }
                else if (range.Offset >= 0)
                {
                    holes.Add((range.Offset + (long)(from - range.Address), (long)(to - from)));
                }
            }
        }

        return Punch(set, map, holes) + PunchParent(set, file, deeper, depth);
    }

    private static long Punch(ImageSet set, PageMap map, List<(long Offset, long Length)> holes)
    {
        if (holes.Count == 0)
        {
            return 0;
        }

        string name = set.FullName(ImageType.Pages.FileName(map.PagesId));
        using SafeFileHandle pages = set.OpenPagesToChange(map.PagesId);
        foreach ((long offset, long length) in holes)
        {
            int errno = FileAt.TryPunchHole(pages, offset, length);
            if (errno != 0)
            {
                throw new KernelException($"a hole in {name}", errno) { Subject = name };
            }
        }

        return holes.Sum(h => h.Length);
    }

    private static long PunchParent(ImageSet set, ImageFile file, List<(ulong Start, ulong End)> superseded, int depth)
    {
        if (superseded.Count == 0)
        {
            return 0;
        }

        string link = set.FullName(ImageSet.ParentName);
        if (depth > set.Limits.ParentDepth)
        {
            throw new ImageException(ImageException.BadParentChain, link, 0, $"there are more than {set.Limits.ParentDepth} parents");
        }

        using ImageSet parent = set.OpenParent()
            ?? throw new ImageException(ImageException.BadParentChain, link, 0, $"there is no parent, but {file.Name} refers to one");
        return Punch(parent, file, superseded, depth + 1);
    }
}
