using System.Text;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Proc;
using Xunit;

namespace CriuPS.Tests.Proc;

public sealed class ProcSmapsTests
{
    private const string Fixture =
        "55d77f086000-55d77f08a000 r--p 00000000 fe:00 247607                     /A: b\n"
        + "Size:                 16 kB\nKernelPageSize:        4 kB\nRss:                  12 kB\nPss:                  11 kB\n"
        + "Shared_Clean:          1 kB\nShared_Dirty:          2 kB\nPrivate_Clean:         3 kB\nPrivate_Dirty:         4 kB\n"
        + "Anonymous:             5 kB\nSwap:                  6 kB\nLocked:                7 kB\nTHPeligible:           0\n"
        + "ProtectionKey:         9\nVmFlags: rd mr mw me dd \n"
        + "7f0000000000-7f0000200000 rw-s 00000000 00:0f 5                          /memfd:x (deleted)\n"
        + "KernelPageSize:     2048 kB\nVmFlags: rd wr sh ht zz um q!\n";

    [Fact]
    public void Every_line_has_its_place()
    {
        List<SmapsEntry> entries = Parse(Fixture);

        Assert.Equal(2, entries.Count);
        Assert.Equal(("/A: b", 4096L, 9), (entries[0].Vma.Path.ToString(), entries[0].PageSize, entries[0].ProtectionKey));
        Assert.Equal(
            new VmaUsage(12 << 10, 11 << 10, 1 << 10, 2 << 10, 3 << 10, 4 << 10, 5 << 10, 6 << 10, 7 << 10), entries[0].Usage);
        Assert.Equal(VmFlags.Read | VmFlags.MayRead | VmFlags.MayWrite | VmFlags.MayExecute | VmFlags.DontDump, entries[0].Flags);
        Assert.True(entries[0].UnknownFlags.IsEmpty);
        Assert.Equal(VmFlags.Read | VmFlags.Write | VmFlags.Shared | VmFlags.HugeTlb | VmFlags.UserFaultMissing, entries[1].Flags);
        Assert.Equal(("zz q!", 2L << 20), (entries[1].UnknownFlags.ToString(), entries[1].PageSize));
    }

    [Fact]
    public void Flags_alone_are_the_same_flags()
    {
        List<SmapsEntry> flags = ProcSmaps.ParseFlags(Encoding.UTF8.GetBytes(Fixture));

        Assert.Equal(Parse(Fixture).Select(e => e with { Usage = default }), flags);
    }

    [Fact]
    public void Every_flag_has_one_mark()
    {
        HashSet<VmFlags> found = [];
        for (char first = 'a'; first <= 'z'; first++)
        {
            for (char second = 'a'; second <= 'z'; second++)
            {
                found.Add(VmFlagNames.Find([(byte)first, (byte)second]));
            }
        }

        Assert.Equal(Enum.GetValues<VmFlags>().ToHashSet(), found);
    }

    [Theory]
    [InlineData("VmFlags: rd mr mw me dd \n", "")]
    [InlineData("Rss:                  12 kB", "Rss:                  x kB")]
    [InlineData("Rss:", "Rss")]
    [InlineData("7f0000000000-", "7f0000000000 ")]
    public void Malformed_or_missing_lines_are_errors(string line, string replacement)
    {
        string text = Fixture.Replace(line, replacement, StringComparison.Ordinal);
        Assert.Equal("MalformedProc", Assert.Throws<CriuException>(() => Parse(text)).Id);
    }

    private static List<SmapsEntry> Parse(string text) => ProcSmaps.Parse(Encoding.UTF8.GetBytes(text));
}
