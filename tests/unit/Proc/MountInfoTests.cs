using System.Text;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Proc;
using Xunit;

namespace CriuPS.Tests.Proc;

public sealed class MountInfoTests
{
    [Fact]
    public void Every_field_has_its_place()
    {
        MountInfo mount = Parse(
            "36 35 98:1048575 /mnt1 /mnt2 rw,noatime master:1 shared:22 propagate_from:3 - fuse.x /dev/root rw,a=b").Single();

        Assert.Equal((36, 35, 98u, 1048575u), (mount.Id, mount.ParentId, mount.DeviceMajor, mount.DeviceMinor));
        Assert.Equal(("/mnt1", "/mnt2", "rw,noatime"), (mount.Root.ToString(), mount.MountPoint.ToString(), mount.Options.ToString()));
        Assert.Equal((1, 22, 3, false), (mount.MasterGroup, mount.SharedGroup, mount.PropagateFrom, mount.Unbindable));
        Assert.Equal(("fuse.x", "/dev/root"), (mount.FileSystemType.ToString(), mount.Source.ToString()));
        Assert.Equal("rw,a=b", mount.SuperOptions.ToString());
        Assert.True(mount.OtherTags.IsEmpty);
    }

    [Fact]
    public void Octal_escapes_are_decoded_in_paths()
    {
        MountInfo mount = Parse(@"1 1 0:1 /a\040b\134040 /x\012y\011z\043 rw - tmpfs a\040b rw,lowerdir=/a\054b").Single();

        Assert.Equal(@"/a b\040", mount.Root.ToString());
        Assert.Equal("/x\ny\tz#", mount.MountPoint.ToString());
        Assert.Equal("a b", mount.Source.ToString());
        Assert.Equal(@"rw,lowerdir=/a\054b", mount.SuperOptions.ToString());
    }

    [Theory]
    [InlineData(@"\", @"\")]
    [InlineData(@"\04", @"\04")]
    [InlineData(@"\400", @"\400")]
    [InlineData(@"\08", @"\08")]
    [InlineData(@"\134134", @"\134")]
    [InlineData(@"a\040", "a ")]
    public void Only_whole_escapes_are_decoded(string text, string expected) =>
        Assert.Equal(expected, OctalEscape.Decode(Encoding.UTF8.GetBytes(text)).ToString());

    [Fact]
    public void Any_bytes_survive_escaping()
    {
        var random = new Random(11);
        for (int round = 0; round < 500; round++)
        {
            byte[] bytes = new byte[random.Next(1, 30)];
            random.NextBytes(bytes);
            string escaped = string.Concat(bytes.Select(Escape));

            Assert.Equal(bytes, OctalEscape.Decode(Encoding.Latin1.GetBytes(escaped)).Bytes.ToArray());
        }
    }

    [Fact]
    public void An_empty_source_unbindable_and_tags_of_later_kernels_are_read()
    {
        MountInfo mount = Parse("24 27 0:6 / /dev rw,relatime unbindable later:5 other - tmpfs  rw").Single();

        Assert.True(mount.Source.IsEmpty && mount.Unbindable);
        Assert.Equal("later:5 other", mount.OtherTags.ToString());
        Assert.Equal("rw", mount.SuperOptions.ToString());
        Assert.Null(mount.SharedGroup);
    }

    [Theory]
    [InlineData("24 27 0:6 / /dev rw,relatime tmpfs none rw")]
    [InlineData("24 27 0:6 / /dev")]
    [InlineData("24 27 0 / /dev rw - tmpfs none rw")]
    [InlineData("x 27 0:6 / /dev rw - tmpfs none rw")]
    [InlineData("24 27 0:6 / /dev rw shared:x - tmpfs none rw")]
    [InlineData("24 27 0:6 / /dev rw - tmpfs none")]
    public void Malformed_lines_are_errors(string line) =>
        Assert.Equal("MalformedProc", Assert.Throws<CriuException>(() => Parse(line)).Id);

    private static string Escape(byte b) =>
        " \t\n\\#".Contains((char)b) ? $"\\{Convert.ToString(b, 8).PadLeft(3, '0')}" : $"{(char)b}";

    private static List<MountInfo> Parse(string text) => MountInfo.ParseFile(Encoding.UTF8.GetBytes(text + "\n"));
}
