using System.Buffers.Binary;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Images;
using Microsoft.Win32.SafeHandles;
using Xunit;

namespace CriuPS.Tests.Images;

public sealed class DamagedImageTests
{
    private static readonly int s_seed = Environment.TickCount;

    public static TheoryData<string> Kinds => [.. ImageType.All.Where(type => !type.IsRaw).Select(type => type.ToString())];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_file_cut_at_any_byte_gives_whole_entries_and_then_the_end_or_an_error_that_names_file_and_offset(string kind)
    {
        ImageType type = ImageType.All.Single(type => type.ToString() == kind);
        using var directory = new TemporaryDirectory();
        byte[] whole = File.ReadAllBytes(new ImageContent(type, s_seed).WriteTo(directory));
        int entries = Count(directory, type, whole);
        using FileStream file = new FileStream(directory["damaged.img"], FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
        foreach (int length in Cuts(whole.Length))
        {
            try
            {
                file.SetLength(length);
                int count = Count(directory["damaged.img"], type);
                Assert.True(count <= entries, $"seed {s_seed}, cut at {length}: {count} entries of {entries}");
                Assert.True(count < entries || type.Payload == ImagePayload.GhostContent, $"seed {s_seed}, cut at {length}: nothing noticed");
            }
            catch (ImageException e)
            {
                Assert.True(e.Id == ImageException.TruncatedImage, $"seed {s_seed}, cut at {length}: {e.Message}");
                Assert.True(e.Offset <= length, $"seed {s_seed}, cut at {length}: {e.Message}");
                Assert.Equal(directory["damaged.img"], e.FileName);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Random_damage_gives_entries_or_an_image_error_and_nothing_else(string kind)
    {
        ImageType type = ImageType.All.Single(type => type.ToString() == kind);
        using var directory = new TemporaryDirectory();
        byte[] whole = File.ReadAllBytes(new ImageContent(type, s_seed).WriteTo(directory));
        File.WriteAllBytes(directory["damaged.img"], whole);
        using FileStream file = new FileStream(directory["damaged.img"], FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
        var random = new Random(s_seed);
        for (int n = 0; n < 200; n++)
        {
            byte[] damaged = whole.AsSpan(0, Math.Min(whole.Length, 400)).ToArray();
            for (int flips = 1 + random.Next(4); flips > 0; flips--)
            {
                damaged[random.Next(damaged.Length)] = (byte)random.Next(256);
            }

            file.Seek(0, SeekOrigin.Begin);
            file.Write(damaged);
            file.Flush();
            try
            {
                _ = Count(directory["damaged.img"], type);
            }
            catch (ImageException e)
            {
                Assert.True(e.Kind == CriuErrorKind.InvalidData && e.Message.Contains("damaged.img", StringComparison.Ordinal), e.ToString());
            }
            catch (Exception e) when (e is not Xunit.Sdk.IAssertionException)
            {
                Assert.Fail($"seed {s_seed}, round {n}: {e}");
            }
        }
    }

    [Fact]
    public void A_wrong_magic_names_both()
    {
        using var directory = new TemporaryDirectory();
        byte[] bytes = [.. Word(ImageMagic.Common), .. Word(0x50273030)];
        ImageException e = Assert.Throws<ImageException>(() => Count(directory, ImageType.Core, bytes));
        Assert.Equal(ImageException.BadMagic, e.Id);
        Assert.Equal(4, e.Offset);
        Assert.Contains("0x50273030", e.Message, StringComparison.Ordinal);
        Assert.Contains("0x55053847", e.Message, StringComparison.Ordinal);
        Assert.Equal(ImageException.BadMagic, Assert.Throws<ImageException>(() => Count(directory, null, [.. Word(1)])).Id);
    }

    [Fact]
    public void Files_of_the_first_version_have_no_common_magic()
    {
        using var directory = new TemporaryDirectory();
        Assert.Equal(1, Count(directory, ImageType.Fs, [.. Word(ImageType.Fs.Magic), .. Word(4), 8, 1, 16, 2]));
    }

    [Fact]
    public void An_entry_above_the_limit_is_refused_before_it_is_read()
    {
        using var directory = new TemporaryDirectory();
        byte[] bytes = [.. Word(ImageMagic.Common), .. Word(ImageType.Fs.Magic), .. Word(0xfffffff0)];
        ImageException e = Assert.Throws<ImageException>(() => Count(directory, ImageType.Fs, bytes));
        Assert.Equal(ImageException.EntryTooLarge, e.Id);
        Assert.Equal(8, e.Offset);
    }

    [Fact]
    public void More_entries_than_the_limit_are_refused()
    {
        using var directory = new TemporaryDirectory();
        byte[] entry = [.. Word(4), 8, 1, 16, 2];
        byte[] bytes = [.. Word(ImageMagic.Common), .. Word(ImageType.Fs.Magic), .. entry, .. entry, .. entry];
        Assert.Equal(3, Count(directory, ImageType.Fs, bytes));
        var limits = new ImageLimits { Entries = 2 };
        Assert.Equal(ImageException.EntryTooLarge, Assert.Throws<ImageException>(() => Count(directory, ImageType.Fs, bytes, limits)).Id);
    }

    [Fact]
    public void Payloads_above_the_limit_are_refused_when_they_are_read_in_one_piece()
    {
        using var directory = new TemporaryDirectory();
        byte[] bytes = [.. Word(ImageMagic.Common), .. Word(ImageType.PipesData.Magic), .. Word(4), 8, 1, 16, 5, 1, 2, 3, 4, 5];
        File.WriteAllBytes(directory["pipes-data.img"], bytes);
        using ImageSet set = ImageSet.Open(directory.Path, new ImageLimits { PayloadBytes = 4 });
        using ImageReader reader = set.OpenReader(ImageType.PipesData)!;
        Assert.NotNull(reader.Read());
        Assert.Equal(ImageException.EntryTooLarge, Assert.Throws<ImageException>(() => reader.ReadPayload()).Id);
        Assert.Equal(4, reader.ReadPayload(new byte[4]));
        Assert.Equal(1, reader.PayloadLength);
        Assert.Null(reader.Read());
    }

    [Fact]
    public void An_entry_without_a_required_field_is_malformed()
    {
        using var directory = new TemporaryDirectory();
        byte[] bytes = [.. Word(ImageMagic.Common), .. Word(ImageType.Fs.Magic), .. Word(2), 8, 1];
        ImageException e = Assert.Throws<ImageException>(() => Count(directory, ImageType.Fs, bytes));
        Assert.Equal(ImageException.MalformedEntry, e.Id);
        Assert.Equal(8, e.Offset);
    }

    [Fact]
    public void A_message_that_nests_without_end_is_malformed()
    {
        byte[] nested = [10, 1, (byte)'x'];
        for (int i = 0; i < 5000; i++)
        {
            nested = [18, .. Varint(nested.Length + 3), 10, 1, (byte)'x', .. nested];
        }

        byte[] controller = [18, .. Varint(nested.Length), .. nested];
        byte[] cgroup = [18, .. Varint(controller.Length), .. controller];
        using var directory = new TemporaryDirectory();
        byte[] bytes = [.. Word(ImageMagic.Common), .. Word(ImageType.Cgroup.Magic), .. Word((uint)cgroup.Length), .. cgroup];
        Assert.Equal(ImageException.MalformedEntry, Assert.Throws<ImageException>(() => Count(directory, ImageType.Cgroup, bytes)).Id);
    }

    [Fact]
    public void A_directory_in_the_place_of_a_file_is_an_error_that_names_it()
    {
        using var directory = new TemporaryDirectory();
        Directory.CreateDirectory(directory["pstree.img"]);
        using ImageSet set = ImageSet.Open(directory.Path);
        Assert.Contains("pstree.img", Assert.ThrowsAny<CriuException>(() => set.OpenReader(ImageType.PsTree)).Message, StringComparison.Ordinal);
    }

    private static int Count(TemporaryDirectory directory, ImageType? type, byte[] bytes, ImageLimits? limits = null)
    {
        string path = directory["damaged.img"];
        File.WriteAllBytes(path, bytes);
        return Count(path, type, limits);
    }

    private static int Count(string path, ImageType? type, ImageLimits? limits = null)
    {
        using ImageReader reader = type is null
            ? ImageReader.OpenUnknown(Open(path), path, limits)
            : ImageReader.Open(Open(path), path, type, null, limits);
        int count = 0;
        while (reader.Read() is not null)
        {
            count++;
        }

        return count;
    }

    private static SafeFileHandle Open(string path) => File.OpenHandle(path, share: FileShare.ReadWrite);

    // Every byte of what is interesting: the heads of the first entries, and the end.
    private static IEnumerable<int> Cuts(int length) =>
        Enumerable.Range(0, length).Where(cut => cut < 600 || cut > length - 100 || cut % 997 == 0).OrderDescending();

    private static byte[] Word(uint value)
    {
        byte[] bytes = new byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
        return bytes;
    }

    private static byte[] Varint(int value)
    {
        var bytes = new List<byte>();
        for (; value >= 0x80; value >>= 7)
        {
            bytes.Add((byte)(value | 0x80));
        }

        bytes.Add((byte)value);
        return [.. bytes];
    }
}
