using CriuPS.Engine.Images;
using Xunit;

namespace CriuPS.Tests.Images;

public sealed class ImageTypeTests
{
    public static TheoryData<string, string?, ulong?> Names => new()
    {
        { "inventory.img", "INVENTORY", null },
        { "core-1234.img", "CORE", 1234 },
        { "pagemap-7.img", "PAGEMAP", 7 },
        { "pagemap-shmem-18446744073709551615.img", "PAGEMAP", ulong.MaxValue },
        { "ghost-file-1f.img", "GHOST_FILE", 0x1f },
        { "tcp-stream-ab.img", "TCP_STREAM", 0xab },
        { "tmpfs-dev-5.tar.gz.img", "TMPFS_DEV", 5 },
        { "tmpfs-5.tar.gz.img", "TMPFS_IMG", 5 },
        { "pages-shmem-3.img", "SHM_PAGES_OLD", 3 },
        { "binfmt-misc.img", "BINFMT_MISC", null },
        { "binfmt-misc-9.img", "BINFMT_MISC", 9 },
        { "netns-ct-2.img", "NETNF_CT", 2 },
        { "stats-dump", "STATS", null },
        { "core-.img", null, null },
        { "core-1a.img", null, null },
        { "core-01.img", null, null },
        { "core-+1.img", null, null },
        { "core- 1.img", null, null },
        { "core-18446744073709551616.img", null, null },
        { "ghost-file-1F.img", null, null },
        { "core-1.img.tmp", null, null },
        { "Inventory.img", null, null },
        { "dump.log", null, null },
        { "", null, null },
    };

    [Theory]
    [MemberData(nameof(Names))]
    public void A_name_tells_kind_and_id(string fileName, string? type, ulong? id)
    {
        Assert.Equal(type, ImageType.FromFileName(fileName, out ulong? found)?.Name);
        Assert.Equal(id, found);
    }

    [Fact]
    public void Every_kind_finds_itself_by_its_name()
    {
        foreach (ImageType type in ImageType.All)
        {
            ulong? id = type.HasId ? 1_000_003UL : null;
            Assert.Same(type, ImageType.FromFileName(type.FileName(id), out ulong? found));
            Assert.Equal(id, found);
        }
    }

    [Fact]
    public void A_magic_tells_the_kind_and_shared_ones_the_kind_that_is_written_today()
    {
        Assert.Same(ImageType.PageMap, ImageType.FromMagic(0x56084025));
        Assert.Same(ImageType.BinfmtMisc, ImageType.FromMagic(0x67343323));
        Assert.Null(ImageType.FromMagic(0));
        foreach (ImageType type in ImageType.All.Where(type => !type.IsRaw))
        {
            Assert.Equal(type.Name, ImageType.FromMagic(type.Magic)?.Name);
        }
    }

    [Fact]
    public void Kinds_of_the_same_name_share_magic_and_message_and_others_share_neither_magic()
    {
        foreach (IGrouping<uint, ImageType> group in ImageType.All.Where(type => !type.IsRaw).GroupBy(type => type.Magic))
        {
            Assert.Single(group.Select(type => (type.Name, type.Message)).Distinct());
        }
    }

    [Fact]
    public void An_id_is_asked_for_where_there_is_one_and_only_there()
    {
        Assert.Throws<ArgumentException>(() => ImageType.Core.FileName());
        Assert.Throws<ArgumentException>(() => ImageType.PsTree.FileName(1));
    }
}
