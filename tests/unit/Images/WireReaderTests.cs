using CriuPS.Engine.Images;
using CriuPS.Engine.Images.Schema;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Xunit;

namespace CriuPS.Tests.Images;

public sealed class WireReaderTests
{
    /// <summary>Each run tries new messages; a failure names the seed, which can be put here to see it again.</summary>
    private static readonly int s_seed = Environment.TickCount;

    public static TheoryData<string> Messages => [.. Types.Select(type => type.Name).Distinct()];

    private static IEnumerable<MessageDescriptor> Types =>
        ImageType.All.Where(type => !type.IsRaw).SelectMany(type => (MessageDescriptor?[])[type.Message, type.FollowingMessage]).OfType<MessageDescriptor>();

    [Theory]
    [MemberData(nameof(Messages))]
    public void What_is_read_is_what_the_library_reads(string name)
    {
        MessageDescriptor type = Types.First(type => type.Name == name);
        for (int seed = s_seed; seed < s_seed + 200; seed++)
        {
            RandomMessage random = new(seed);
            byte[] bytes = Damage(random.Make(type).ToByteArray(), random);
            if (TryRead(type, bytes) is { } read)
            {
                Assert.True(type.Parser.ParseFrom(bytes).Equals(read), $"seed {seed}: {Convert.ToHexString(bytes)} became {read}");
            }
        }
    }

    [Fact]
    public void Entries_that_there_are_many_of_are_read_without_the_library()
    {
        FownEntry nobody = new();
        FileEntry[] files =
        [
            new() { Type = FdTypes.Reg, Id = 1, Reg = new RegFileEntry { Id = 1, Flags = 2, Pos = ulong.MaxValue, Fown = nobody, Name = ByteString.CopyFrom(1, 255) } },
            new() { Type = FdTypes.Pipe, Id = uint.MaxValue, Pipe = new PipeEntry { Id = 3, PipeId = 300, Flags = 1, Fown = nobody } },
            new() { Type = FdTypes.Eventfd, Id = 4, Efd = new EventfdFileEntry { Id = 4, Flags = 0, Counter = 1UL << 40, Fown = nobody } },
        ];
        Assert.All(files, file => Assert.Equal(file, TryRead(FileEntry.Descriptor, file.ToByteArray())));
        FdinfoEntry descriptor = new() { Id = 1, Flags = 1, Type = FdTypes.Reg, Fd = 100_000 };
        Assert.Equal(descriptor, TryRead(FdinfoEntry.Descriptor, descriptor.ToByteArray()));
    }

    [Theory]
    [InlineData("0880808080808080808080", "a number without an end")]
    [InlineData("08", "no number")]
    [InlineData("1205", "fewer bytes than there should be")]
    [InlineData("12ffffffffffffffffff01", "more bytes than there can be")]
    [InlineData("c03e07", "a field that is not known")]
    [InlineData("0b", "a group")]
    public void What_is_wrong_or_unknown_is_left_to_the_library(string hex, string what)
    {
        Assert.True(TryRead(RegFileEntry.Descriptor, Convert.FromHexString(hex)) is null, what);
    }

    private static IMessage? TryRead(MessageDescriptor type, byte[] bytes)
    {
        var message = (IMessage)Activator.CreateInstance(type.ClrType)!;
        return ((IWireMessage)message).TryRead(bytes) ? message : null;
    }

    // Nothing, one byte changed, some left out, or some more.
    private static byte[] Damage(byte[] bytes, RandomMessage random)
    {
        int at = random.Below(bytes.Length + 1), count = random.Below(4);
        switch (random.Below(4))
        {
            case 0 when at < bytes.Length:
                bytes[at] ^= (byte)(1 << random.Below(8));
                return bytes;
            case 1:
                return [.. bytes[..at], .. bytes[Math.Min(at + count, bytes.Length)..]];
            case 2:
                return [.. bytes[..at], .. random.Bytes(count), .. bytes[at..]];
            default:
                return bytes;
        }
    }
}
