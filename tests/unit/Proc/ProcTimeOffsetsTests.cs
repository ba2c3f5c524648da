using System.Text;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Proc;
using Xunit;

namespace CriuPS.Tests.Proc;

public sealed class ProcTimeOffsetsTests
{
    [Theory]
    [InlineData("monotonic           0         0\nboottime            0         0\n", 0, 0)]
    [InlineData("monotonic        1000 500000000\nboottime           -2 999999999\n", 1_000_500_000_000, -1_000_000_001)]
    public void Both_lines_are_read_and_written(string text, long monotonic, long bootTime)
    {
        ProcTimeOffsets offsets = Parse(text);
        Assert.Equal(new ProcTimeOffsets(monotonic, bootTime), offsets);
        Assert.Equal(offsets, Parse(offsets.ToString()));
    }

    [Theory]
    [InlineData("")]
    [InlineData("monotonic 0 0\n")]
    [InlineData("monotonic 0\nboottime 0 0\n")]
    [InlineData("boottime 0 0\nmonotonic 0 0\n")]
    public void Malformed_text_is_an_error(string text) => Assert.Equal("MalformedProc", Assert.Throws<CriuException>(() => Parse(text)).Id);

    private static ProcTimeOffsets Parse(string text) => ProcTimeOffsets.Parse(Encoding.ASCII.GetBytes(text));
}
