using CriuPS.Engine.Images;
using Google.Protobuf;
using Xunit;

namespace CriuPS.Tests.Images;

public sealed class ImageRoundTripTests
{
    /// <summary>Each run tries new messages; a failure names the seed, which can be put here to see it again.</summary>
    private static readonly int s_seed = Environment.TickCount;

    public static TheoryData<string> Kinds => [.. ImageType.All.Where(type => !type.IsRaw).Select(type => type.ToString())];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void What_is_written_is_read_again(string kind)
    {
        ImageType type = ImageType.All.Single(type => type.ToString() == kind);
        for (int seed = s_seed; seed < s_seed + 20; seed++)
        {
            using var directory = new TemporaryDirectory();
            var content = new ImageContent(type, seed);
            string path = content.WriteTo(directory);
            using ImageReader reader = ImageReader.Open(File.OpenHandle(path), path, type);
            foreach ((IMessage message, byte[] payload) in content.Entries)
            {
                IMessage? read = reader.Read();
                Assert.True(message.Equals(read), $"seed {seed}: wrote {message}, read {read}");
                Assert.True(payload.AsSpan().SequenceEqual(ImageContent.ReadPayload(reader)), $"seed {seed}: bytes after {message}");
            }

            Assert.True(reader.Read() is null, $"seed {seed}: more than was written");
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Bytes_that_nobody_reads_are_skipped(string kind)
    {
        ImageType type = ImageType.All.Single(type => type.ToString() == kind);
        using var directory = new TemporaryDirectory();
        var content = new ImageContent(type, s_seed);
        string path = content.WriteTo(directory);
        using ImageReader reader = ImageReader.OpenUnknown(File.OpenHandle(path), path);
        Assert.Equal(type.Name, reader.Type.Name);
        foreach ((IMessage message, byte[] _) in content.Entries)
        {
            Assert.True(message.Equals(reader.Read()), $"seed {s_seed}: {message}");
        }

        Assert.True(reader.Read() is null, $"seed {s_seed}");
    }

    [Fact]
    public void A_field_that_is_not_known_survives()
    {
        // Field 1000, a number: as a newer writer might add it.
        byte[] newer = [.. new FsEntry { CwdId = 1, RootId = 2 }.ToByteArray(), 0xc0, 0x3e, 0x07];
        Assert.Equal(newer, FsEntry.Parser.ParseFrom(newer).ToByteArray());
    }

    [Fact]
    public void Names_that_are_no_text_survive()
    {
        byte[] name = [(byte)'/', 0xff, 0xfe, (byte)'\n', 0x80];
        var file = new RegFileEntry { Name = ByteString.CopyFrom(name) };
        var copy = new RegFileEntry();
        copy.MergeFrom(file.ToByteArray());
        Assert.Equal(name, copy.Name.ToByteArray());
    }
}
