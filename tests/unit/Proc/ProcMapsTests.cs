using System.Text;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Proc;
using Xunit;

namespace CriuPS.Tests.Proc;

public sealed class ProcMapsTests
{
    private const string Fixture =
        """
        00400000-00401000 r--p 00000000 fe:00 247629                             /usr/bin/head
        00401000-00402000 rwxs 00002000 fe:1f 18446744073709551615 /tmp/a b  c (deleted)
        00402000-00403000 ---p 00000000 00:00 0 
        55d77f086000-55d77f08a000 rw-p 00000000 00:00 0                          [heap]
        7f0000000000-7f0000001000 rw-s 7f0000001000 00:01 1037                   /memfd:x\012y\012 (deleted)
        7f0000001000-7f0000002000 rw-p 00000000 00:00 0                          [anon:a name]
        ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]

        """;

    [Fact]
    public void Every_column_has_its_place()
    {
        List<Vma> maps = Parse(Fixture);

        Assert.Equal(7, maps.Count);
        Assert.Equal(new Vma(0x400000, 0x401000, VmaProtection.Read, false, 0, 0xfe, 0, 247629, new OsText("/usr/bin/head")), maps[0]);
        Assert.Equal((VmaProtection)7, maps[1].Protection);
        Assert.True(maps[1].Shared && maps[1].HasDeletedSuffix);
        Assert.Equal((0x2000ul, 0x1fu, ulong.MaxValue), (maps[1].Offset, maps[1].DeviceMinor, maps[1].Inode));
        Assert.Equal("/tmp/a b  c (deleted)", maps[1].Path.ToString());
        Assert.True(maps[2].Path.IsEmpty && !maps[2].HasFile && maps[2].Protection == VmaProtection.None);
        Assert.Equal("[heap]", maps[3].Path.ToString());
        Assert.Equal("/memfd:x\ny\n (deleted)", maps[4].Path.ToString());
        Assert.Equal("[anon:a name]", maps[5].Path.ToString());
        Assert.Equal((0xffffffffff600000ul, VmaProtection.Execute), (maps[6].Start, maps[6].Protection));
    }

    [Fact]
    public void Bytes_that_are_no_utf8_are_kept()
    {
        byte[] name = [(byte)'/', 0xff, 0xfe, (byte)' ', 0x80];
        byte[] text = [.. "1000-2000 r--p 00000000 fe:00 5                          "u8, .. name, (byte)'\n'];

        Assert.Equal(name, ProcMaps.Parse(text)[0].Path.Bytes.ToArray());
    }

    [Theory]
    [InlineData("1000-2000 r--p 00000000 fe:00")]
    [InlineData("1000 2000 r--p 00000000 fe:00 5")]
    [InlineData("2000-1000 r--p 00000000 fe:00 5")]
    [InlineData("1000-2000 r-- 00000000 fe:00 5")]
    [InlineData("1000-2000 r--q 00000000 fe:00 5")]
    [InlineData("1000-2000 wr-p 00000000 fe:00 5")]
    [InlineData("1000-2000 r--p 00000000 fe00 5")]
    [InlineData("1000-2000 r--p 00000000 fe:00 5x")]
    [InlineData("10000000000000000-20000000000000000 r--p 00000000 fe:00 5")]
    [InlineData("1000-2000 r--p 00000000 fe:00 18446744073709551616")]
    [InlineData("\n")]
    public void Malformed_line_is_an_error(string line)
    {
        var error = Assert.Throws<CriuException>(() => Parse("1000-2000 r--p 00000000 fe:00 5\n" + line));

        Assert.Equal("MalformedProc", error.Id);
    }

    [Fact]
    public void What_the_kernel_prints_is_read_back()
    {
        var random = new Random(7);
        for (int round = 0; round < 200; round++)
        {
            List<Vma> wanted = [.. Enumerable.Range(0, random.Next(1, 40)).Select(_ => RandomVma(random))];

            Assert.Equal(wanted, Parse(string.Concat(wanted.Select(Print))));
        }
    }

    private static Vma RandomVma(Random random)
    {
        ulong start = (ulong)random.NextInt64() & ~0xfffUL;
        string path = random.Next(4) switch { 0 => "", 1 => "[stack]", 2 => "/a b\nc", _ => "/" + random.Next() + " (deleted)" };
        return new Vma(
            start, start + 4096, (VmaProtection)random.Next(8), random.Next(2) == 0, (ulong)random.NextInt64(), (uint)random.Next(4096),
            (uint)random.Next(1 << 20), (ulong)random.NextInt64(), new OsText(path));
    }

    // As show_vma_header_prefix and seq_file_path do it: the name starts at column 73 unless the numbers are longer.
    private static string Print(Vma vma)
    {
        char Letter(VmaProtection bit, char letter) => vma.Protection.HasFlag(bit) ? letter : '-';
        string letters = $"{Letter(VmaProtection.Read, 'r')}{Letter(VmaProtection.Write, 'w')}{Letter(VmaProtection.Execute, 'x')}"
            + (vma.Shared ? "s" : "p");
        string numbers = $"{vma.Start:x8}-{vma.End:x8} {letters} {vma.Offset:x8} {vma.DeviceMajor:x2}:{vma.DeviceMinor:x2} {vma.Inode} ";
        string path = vma.Path.ToString().Replace("\n", "\\012", StringComparison.Ordinal);
        return (path.Length == 0 ? numbers : numbers.PadRight(73) + path) + "\n";
    }

    private static List<Vma> Parse(string text) => ProcMaps.Parse(Encoding.UTF8.GetBytes(text), new ProcSource("/proc/1/maps", 1));
}
