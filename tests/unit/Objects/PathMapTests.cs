using CriuPS.Engine.Objects.Files;
using CriuPS.Engine.Options;
using Google.Protobuf;
using Xunit;

namespace CriuPS.Tests.Objects;

public sealed class PathMapTests
{
    [Theory]
    [InlineData("/srv/old/file", "/srv/new/file")]
    [InlineData("/srv/old", "/srv/new")]
    [InlineData("/srv/older/file", "/srv/older/file")]
    [InlineData("/srv/old/deep/file", "/deep/file")]
    [InlineData("/srv/old/deep", "/deep")]
    [InlineData("/home", "/")]
    [InlineData("/home/x", "/x")]
    [InlineData("/", "/")]
    [InlineData("/other", "/other")]
    public void The_longest_beginning_counts(string path, string now)
    {
        PathMap map = new([new MovedPath("/srv/old", "/srv/new"), new MovedPath("/srv/old/deep/", "/deep"), new MovedPath("/home", "/")]);
        Assert.Equal(now, map.Apply(ByteString.CopyFromUtf8(path)).ToStringUtf8());
    }

    [Fact]
    public void Bytes_that_are_no_text_stay() =>
        Assert.Equal([0x2f, 0x62, 0x2f, 0xff], new PathMap([new MovedPath("/a", "/b")]).Apply(ByteString.CopyFrom([0x2f, 0x61, 0x2f, 0xff])).ToByteArray());

    [Theory]
    [InlineData("*.log", ChangedFile.Growth, "/var/log/a.log", ChangedFile.Growth)]
    [InlineData("*.log", ChangedFile.Growth, "/var/log/a.txt", ChangedFile.Strict)]
    [InlineData("/var/?/x", ChangedFile.Ignore, "/var/a/x", ChangedFile.Ignore)]
    [InlineData("/var/?/x", ChangedFile.Ignore, "/var/ab/x", ChangedFile.Strict)]
    public void A_pattern_says_what_is_done(string pattern, ChangedFile change, string path, ChangedFile expected)
    {
        RestoreOptions options = new() { FilePolicies = [new FilePolicy(pattern, change)] };
        Assert.Equal(expected, new FileChoices(options).PolicyFor(System.Text.Encoding.UTF8.GetBytes(path)));
    }

    [Fact]
    public void The_longest_pattern_counts()
    {
        RestoreOptions options = new() { FilePolicies = [new FilePolicy("*", ChangedFile.Ignore), new FilePolicy("/etc/*", ChangedFile.Saved)] };
        FileChoices choices = new(options);
        Assert.Equal((ChangedFile.Saved, ChangedFile.Ignore), (choices.PolicyFor("/etc/x"u8), choices.PolicyFor("/var/x"u8)));
    }
}
