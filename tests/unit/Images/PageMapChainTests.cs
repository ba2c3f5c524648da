using CriuPS.Engine.Errors;
using CriuPS.Engine.Images;
using Microsoft.Win32.SafeHandles;
using Xunit;

namespace CriuPS.Tests.Images;

public sealed class PageMapChainTests
{
    private static readonly int s_seed = Environment.TickCount;
    private static readonly ulong s_page = PageMap.PageSize;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Every_page_is_found_in_the_round_that_wrote_it_last(bool deduplicated)
    {
        for (int seed = s_seed; seed < s_seed + 30; seed++)
        {
            using var directory = new TemporaryDirectory();
            var random = new Random(seed);
            int rounds = 1 + random.Next(5);
            int size = 1 + random.Next(80);
            int?[] expected = new int?[size];
            int?[] before = expected;
            for (int round = 0; round < rounds; round++)
            {
                before = [.. expected];
                WriteRound(directory, round, expected, random);
            }

            if (deduplicated)
            {
                int superseded = Enumerable.Range(0, size).Count(i => before[i] is not null && expected[i] >> 16 == rounds - 1);
                Assert.Equal(rounds == 1 ? 0 : superseded * (long)s_page, Deduplication.Run(directory[$"{rounds - 1}"]));
            }

            using ImageSet set = ImageSet.Open(directory[$"{rounds - 1}"]);
            using PageMapChain chain = PageMapChain.Open(set, ImageType.PageMap, 7)!;
            var found = new int?[size];
            foreach (PageExtent extent in chain.Extents)
            {
                using SafeFileHandle pages = chain.OpenPages(extent.Level)!;
                byte[] bytes = new byte[extent.Pages * s_page];
                Assert.Equal(bytes.Length, RandomAccess.Read(pages, bytes, extent.Offset));
                for (ulong i = 0; i < extent.Pages; i++)
                {
                    found[(extent.Address / s_page) + i] = BitConverter.ToInt32(bytes, (int)(i * s_page));
                }
            }

            Assert.True(expected.SequenceEqual(found), $"seed {seed}");
            Assert.True(chain.Extents.Zip(chain.Extents.Skip(1)).All(two => two.First.End <= two.Second.Address), $"seed {seed}: order");
        }
    }

    [Fact]
    public void Neighbours_of_one_file_are_one_extent()
    {
        using var directory = new TemporaryDirectory();
        Make(directory, "old", null, [(0, 10, PageFlags.Present)]);
        Make(directory, "new", "old", [(0, 3, PageFlags.Parent), (3, 1, PageFlags.Present), (4, 6, PageFlags.Parent)]);
        using ImageSet set = ImageSet.Open(directory["new"]);
        using PageMapChain chain = PageMapChain.Open(set, ImageType.PageMap, 7)!;
        Assert.Equal(
            [
                new PageExtent(0, 3, 1, 0, false),
                new PageExtent(3 * s_page, 1, 0, 0, false),
                new PageExtent(4 * s_page, 6, 1, (long)(4 * s_page), false),
            ],
            chain.Extents);
        Assert.Equal(2, chain.Levels.Count);
    }

    [Fact]
    public void Parents_are_not_opened_when_no_page_is_theirs()
    {
        using var directory = new TemporaryDirectory();
        Make(directory, "new", "nowhere", [(0, 1, PageFlags.Present), (1, 1, PageFlags.Lazy)]);
        using ImageSet set = ImageSet.Open(directory["new"]);
        using PageMapChain chain = PageMapChain.Open(set, ImageType.PageMap, 7)!;
        Assert.Single(chain.Levels);
        Assert.Equal(new PageExtent(s_page, 1, 0, -1, true), chain.Extents[1]);
        Assert.Null(PageMapChain.Open(set, ImageType.PageMap, 8));
    }

    [Fact]
    public void A_page_that_is_nowhere_is_named_with_both_files()
    {
        using var directory = new TemporaryDirectory();
        Make(directory, "old", null, [(0, 2, PageFlags.Present), (3, 1, PageFlags.Present)]);
        Make(directory, "new", "old", [(0, 4, PageFlags.Parent)]);
        ImageException e = Fail(directory["new"]);
        Assert.Equal(ImageException.BadPageMap, e.Id);
        Assert.Contains($"0x{2 * s_page:x}", e.Message, StringComparison.Ordinal);
        Assert.Contains("new/pagemap-7.img", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_parent_and_a_missing_page_map_in_it_are_named()
    {
        using var directory = new TemporaryDirectory();
        Make(directory, "alone", null, [(0, 1, PageFlags.Parent)]);
        Assert.Equal(ImageException.BadParentChain, Fail(directory["alone"]).Id);
        Make(directory, "dangling", "nowhere", [(0, 1, PageFlags.Parent)]);
        using ImageSet set = ImageSet.Open(directory["dangling"]);
        KernelException e = Assert.Throws<KernelException>(() => PageMapChain.Open(set, ImageType.PageMap, 7));
        Assert.EndsWith("dangling/parent", e.Subject, StringComparison.Ordinal);
        Directory.CreateDirectory(directory["nowhere"]);
        Assert.Equal(ImageException.MissingImage, Fail(directory["dangling"]).Id);
    }

    [Fact]
    public void A_ring_of_parents_and_a_chain_above_the_limit_are_refused()
    {
        using var directory = new TemporaryDirectory();
        Make(directory, "a", "b", [(0, 1, PageFlags.Parent)]);
        Make(directory, "b", "a", [(0, 1, PageFlags.Parent)]);
        ImageException e = Fail(directory["a"]);
        Assert.Equal(ImageException.BadParentChain, e.Id);
        Assert.Contains("its own ancestor", e.Message, StringComparison.Ordinal);
        Make(directory, "0", null, [(0, 1, PageFlags.Present)]);
        for (int i = 1; i <= 4; i++)
        {
            Make(directory, $"{i}", $"{i - 1}", [(0, 1, PageFlags.Parent)]);
        }

        Assert.Equal(ImageException.BadParentChain, Fail(directory["4"], new ImageLimits { ParentDepth = 3 }).Id);
        using ImageSet set = ImageSet.Open(directory["4"], new ImageLimits { ParentDepth = 4 });
        using PageMapChain chain = PageMapChain.Open(set, ImageType.PageMap, 7)!;
        Assert.Equal(4, Assert.Single(chain.Extents).Level);
    }

    private static ImageException Fail(string path, ImageLimits? limits = null)
    {
        using ImageSet set = ImageSet.Open(path, limits);
        return Assert.Throws<ImageException>(() => PageMapChain.Open(set, ImageType.PageMap, 7));
    }

    private static void Make(TemporaryDirectory directory, string name, string? parent, (ulong, ulong, PageFlags)[] runs)
    {
        using ImageSet set = ImageSet.Create(directory[name]);
        PageMapTests.Write(set, 7, runs);
        set.Complete(new InventoryEntry());
        Link(directory, name, parent);
    }

    private static void Link(TemporaryDirectory directory, string name, string? parent)
    {
        if (parent is not null)
        {
            File.CreateSymbolicLink(directory[$"{name}/parent"], $"../{parent}");
        }
    }

    // Each page that is written starts with a number of its own; the others of the map are taken from the parent.
    private static void WriteRound(TemporaryDirectory directory, int round, int?[] expected, Random random)
    {
        using ImageSet set = ImageSet.Create(directory[$"{round}"]);
        using var map = new PageMapWriter(set, ImageType.PageMap, 7, 1);
        using SafeFileHandle pages = set.CreateRaw(ImageType.Pages, 1);
        for (int page = 0; page < expected.Length; page++)
        {
            int kind = random.Next(3);
            if (kind == 0)
            {
                expected[page] = (round << 16) + page;
                RandomAccess.SetLength(pages, map.PresentBytes + (long)s_page);
                RandomAccess.Write(pages, BitConverter.GetBytes(expected[page]!.Value), map.PresentBytes);
                map.Add((ulong)page * s_page, 1, PageFlags.Present);
            }
            else if (kind == 1 && expected[page] is not null)
            {
                map.Add((ulong)page * s_page, 1, PageFlags.Parent);
            }
            else
            {
                expected[page] = null;
            }
        }

        map.Dispose();
        set.Complete(new InventoryEntry());
        Link(directory, $"{round}", round > 0 ? $"{round - 1}" : null);
    }
}
