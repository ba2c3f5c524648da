using CriuPS.Engine.Images;
using Microsoft.Win32.SafeHandles;
using Xunit;

namespace CriuPS.Tests.Images;

public sealed class PageMapTests
{
    private const PageFlags P = PageFlags.Present;
    private static readonly int s_seed = Environment.TickCount;
    private static readonly ulong s_page = PageMap.PageSize;

    [Fact]
    public void Runs_that_continue_one_another_become_one()
    {
        using var directory = new TemporaryDirectory();
        using ImageSet set = ImageSet.Create(directory["set"]);
        Write(set, 7, [(0, 2, P), (2, 1, P), (3, 4, P | PageFlags.Lazy), (7, 1, PageFlags.Lazy), (9, 1, P), (10, 0, P), (10, 1, P)]);
        PageMap map = PageMap.Read(set, ImageType.PageMap, 7)!;
        Assert.Equal(
            [
                new PageRange(0, 3, P, 0),
                new PageRange(3 * s_page, 4, P | PageFlags.Lazy, (long)(3 * s_page)),
                new PageRange(7 * s_page, 1, PageFlags.Lazy, -1),
                new PageRange(9 * s_page, 2, P, (long)(7 * s_page)),
            ],
            map.Ranges);
        Assert.Equal((long)(9 * s_page), map.PresentBytes);
    }

    [Fact]
    public void Random_page_maps_are_read_as_they_were_written()
    {
        for (int seed = s_seed; seed < s_seed + 50; seed++)
        {
            using var directory = new TemporaryDirectory();
            using ImageSet set = ImageSet.Create(directory["set"]);
            var random = new Random(seed);
            var pages = new SortedDictionary<ulong, PageFlags>();
            List<(ulong, ulong, PageFlags)> runs = [];
            ulong at = (ulong)random.Next(1000);
            for (int n = random.Next(60); n > 0; n--)
            {
                at += (ulong)random.Next(3);
                ulong count = 1 + (ulong)random.Next(5);
                PageFlags flags = random.Next(4) switch { 0 => P, 1 => PageFlags.Parent, 2 => PageFlags.Lazy, _ => P | PageFlags.Lazy };
                runs.Add((at, count, flags));
                for (; count > 0; count--)
                {
                    pages.Add(at++, flags);
                }
            }

            Write(set, 7, runs);
            PageMap map = PageMap.Read(set, ImageType.PageMap, 7)!;
            Assert.True(pages.SequenceEqual(PagesOf(map)), $"seed {seed}");
            Assert.True(map.Ranges.Zip(map.Ranges.Skip(1)).All(two => two.First.End != two.Second.Address || two.First.Flags != two.Second.Flags),
                $"seed {seed}: neighbours were not merged");
        }
    }

    [Fact]
    public void Entries_of_older_writers_are_understood()
    {
        using var directory = new TemporaryDirectory();
        using ImageSet set = ImageSet.Create(directory["set"]);
        using (ImageWriter writer = set.CreateWriter(ImageType.PageMap, 7))
        {
            writer.Write(new PagemapHead { PagesId = 1 });
            writer.Write(new PagemapEntry { Vaddr = 0, CompatNrPages = 2 });
            writer.Write(new PagemapEntry { Vaddr = 2 * s_page, CompatNrPages = 1, InParent = true });
            writer.Write(new PagemapEntry { Vaddr = 3 * s_page, CompatNrPages = 9, NrPages = 1, Flags = 4 });
            writer.Write(new PagemapEntry { Vaddr = 4 * s_page, CompatNrPages = 1, Flags = 0 });
        }

        MakePages(set, 1, 3);
        Assert.Equal(
            [
                new PageRange(0, 2, P, 0),
                new PageRange(2 * s_page, 1, PageFlags.Parent, -1),
                new PageRange(3 * s_page, 1, P, (long)(2 * s_page)),
                new PageRange(4 * s_page, 1, PageFlags.None, -1),
            ],
            PageMap.Read(set, ImageType.PageMap, 7)!.Ranges);
    }

    public static TheoryData<string, ulong, ulong, uint> Faults => new()
    {
        { "no pages", 4096, 0, 4 },
        { "no multiple", 4097, 1, 4 },
        { "more than there can be", 4096, ulong.MaxValue / 4096, 4 },
        { "before the end", 0, 1, 4 },
        { "both here and in the parent", 4096, 1, 5 },
    };

    [Theory]
    [MemberData(nameof(Faults))]
    public void A_run_that_cannot_be_is_refused_with_file_and_offset(string reason, ulong address, ulong pages, uint flags)
    {
        using var directory = new TemporaryDirectory();
        using ImageSet set = ImageSet.Create(directory["set"]);
        using (ImageWriter writer = set.CreateWriter(ImageType.PageMap, 7))
        {
            writer.Write(new PagemapHead { PagesId = 1 });
            writer.Write(new PagemapEntry { Vaddr = 0, CompatNrPages = 1 });
            writer.Write(new PagemapEntry { Vaddr = address, CompatNrPages = 0, NrPages = pages, Flags = flags });
        }

        MakePages(set, 1, 2);
        ImageException e = Assert.Throws<ImageException>(() => PageMap.Read(set, ImageType.PageMap, 7));
        Assert.Equal(ImageException.BadPageMap, e.Id);
        Assert.Contains(reason, e.Message, StringComparison.Ordinal);
        Assert.True(e.Offset > 8, e.Message);
    }

    [Fact]
    public void A_pages_file_that_is_missing_or_too_short_is_refused()
    {
        using var directory = new TemporaryDirectory();
        using ImageSet set = ImageSet.Create(directory["set"]);
        Write(set, 7, [(0, 3, P)]);
        string pages = directory["set/pages-1.img"];
        using (FileStream file = File.OpenWrite(pages))
        {
            file.SetLength(file.Length - 1);
        }

        ImageException e = Assert.Throws<ImageException>(() => PageMap.Read(set, ImageType.PageMap, 7));
        Assert.Equal((ImageException.TruncatedImage, (long)(3 * s_page) - 1), (e.Id, e.Offset));
        File.Delete(pages);
        Assert.Equal(ImageException.MissingImage, Assert.Throws<ImageException>(() => PageMap.Read(set, ImageType.PageMap, 7)).Id);
        Assert.Null(PageMap.Read(set, ImageType.PageMap, 8));
    }

    [Fact]
    public void More_pages_than_the_limit_are_refused()
    {
        using var directory = new TemporaryDirectory();
        using ImageSet set = ImageSet.Create(directory["set"]);
        Write(set, 7, [(0, 3, PageFlags.Lazy), (5, 3, PageFlags.Lazy)]);
        using ImageSet strict = ImageSet.Open(directory["set"], new ImageLimits { Pages = 5 });
        Assert.Equal(ImageException.EntryTooLarge, Assert.Throws<ImageException>(() => PageMap.Read(strict, ImageType.PageMap, 7)).Id);
    }

    [Fact]
    public void A_writer_takes_no_run_out_of_order()
    {
        using var directory = new TemporaryDirectory();
        using ImageSet set = ImageSet.Create(directory["set"]);
        using var writer = new PageMapWriter(set, ImageType.PageMap, 7, 1);
        writer.Add(5 * s_page, 2, P);
        Assert.Throws<ArgumentException>(() => writer.Add(6 * s_page, 1, P));
        Assert.Throws<ArgumentException>(() => writer.Add((7 * s_page) + 1, 1, P));
        Assert.Throws<ArgumentException>(() => writer.Add(7 * s_page, 1, P | PageFlags.Parent));
        Assert.Equal((2UL, (long)(2 * s_page)), (writer.Pages, writer.PresentBytes));
    }

    [Fact]
    public void A_page_map_without_pages_has_a_file_and_one_of_a_discarded_set_does_not_complain()
    {
        using var directory = new TemporaryDirectory();
        using ImageSet set = ImageSet.Create(directory["set"]);
        new PageMapWriter(set, ImageType.ShmemPageMap, 9, 3).Dispose();
        PageMap map = PageMap.Read(set, ImageType.ShmemPageMap, 9)!;
        Assert.Equal((3u, 0), (map.PagesId, map.Ranges.Count));
        using var late = new PageMapWriter(set, ImageType.PageMap, 7, 1);
        late.Add(0, 1, P);
        set.Discard();
    }

    internal static void Write(ImageSet set, ulong id, IEnumerable<(ulong Page, ulong Count, PageFlags Flags)> runs)
    {
        uint pagesId = set.NextPagesId();
        using var writer = new PageMapWriter(set, ImageType.PageMap, id, pagesId);
        foreach ((ulong page, ulong count, PageFlags flags) in runs)
        {
            writer.Add(page * s_page, count, flags);
        }

        MakePages(set, pagesId, (ulong)writer.PresentBytes / s_page);
    }

    private static void MakePages(ImageSet set, uint id, ulong pages)
    {
        using SafeFileHandle file = set.CreateRaw(ImageType.Pages, id);
        RandomAccess.SetLength(file, (long)(pages * s_page));
    }

    private static IEnumerable<KeyValuePair<ulong, PageFlags>> PagesOf(PageMap map)
    {
        long offset = 0;
        foreach (PageRange range in map.Ranges)
        {
            for (ulong page = 0; page < range.Pages; page++)
            {
                yield return new((range.Address / s_page) + page, range.Flags);
            }

            Assert.Equal(range.Flags.HasFlag(P) ? offset : -1, range.Offset);
            offset += range.Offset < 0 ? 0 : (long)(range.Pages * s_page);
        }

        Assert.Equal(offset, map.PresentBytes);
    }
}
