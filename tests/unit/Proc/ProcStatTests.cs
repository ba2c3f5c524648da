using CriuPS.Engine.Errors;
using CriuPS.Engine.Proc;
using Xunit;

namespace CriuPS.Tests.Proc;

public sealed class ProcStatTests
{
    private const string Numbers =
        "4351 4350 2422 34816 -1 4194304 128 1 2 3 4 5 -6 7 20 -5 9 0 89795 2998272 431 18446744073709551615 93953883402240 93953883426345 "
        + "140736541549888 0 0 1 2 3 4 1 0 0 17 1 99 1 5 6 7 93953883442192 93953883443808 93954590101504 140736541551065 140736541551094 "
        + "140736541551096 140736541552618 256";

    public static TheoryData<string> HostileNames => new("a) R 1 (", ")", "", "((", "x\ny", "9 (8) S 1", "ä) Z 0 0", new string('w', 63));

    [Theory]
    [MemberData(nameof(HostileNames))]
    public void Name_ends_at_the_last_parenthesis(string name)
    {
        ProcStat stat = Parse($"4356 ({name}) S {Numbers}\n");

        Assert.Equal(name, stat.Comm.ToString());
        Assert.Equal('S', stat.State);
        Assert.Equal(4351, stat.ParentPid);
        Assert.Equal(256, stat.ExitCode);
    }

    [Fact]
    public void Every_field_has_its_place()
    {
        ProcStat stat = Parse($"4356 (head) R {Numbers}\n");

        Assert.Equal((4350, 2422, 34816, -1), (stat.ProcessGroup, stat.Session, stat.TerminalDevice, stat.TerminalForegroundGroup));
        Assert.Equal((4194304u, 128ul, 1ul), (stat.Flags, stat.MinorFaults, stat.ChildrenMinorFaults));
        Assert.Equal((2ul, 3ul), (stat.MajorFaults, stat.ChildrenMajorFaults));
        Assert.Equal((4ul, 5ul, -6L, 7L), (stat.UserTime, stat.SystemTime, stat.ChildrenUserTime, stat.ChildrenSystemTime));
        Assert.Equal((20, -5, 9, 89795ul), (stat.Priority, stat.Nice, stat.Threads, stat.StartTime));
        Assert.Equal((2998272ul, 431L, ulong.MaxValue), (stat.VirtualSize, stat.ResidentPages, stat.ResidentLimit));
        Assert.Equal((93953883402240ul, 93953883426345ul, 140736541549888ul), (stat.StartCode, stat.EndCode, stat.StartStack));
        Assert.Equal((1ul, 2ul, 3ul, 4ul), (stat.Signal, stat.Blocked, stat.SignalsIgnored, stat.SignalsCaught));
        Assert.Equal((17, 1, 99u, 1u), (stat.ExitSignal, stat.Processor, stat.RealTimePriority, stat.Policy));
        Assert.Equal((5ul, 6ul, 7L), (stat.BlockIoDelay, stat.GuestTime, stat.ChildrenGuestTime));
        Assert.Equal((93953883442192ul, 93953883443808ul, 93954590101504ul), (stat.StartData, stat.EndData, stat.StartBrk));
        Assert.Equal((140736541551065ul, 140736541551094ul), (stat.ArgStart, stat.ArgEnd));
        Assert.Equal((140736541551096ul, 140736541552618ul), (stat.EnvStart, stat.EnvEnd));
    }

    [Theory]
    [InlineData("")]
    [InlineData("12")]
    [InlineData("12 (x")]
    [InlineData("12 (x) S 1 2 3")]
    [InlineData("12 (x) SS 1 2 3")]
    [InlineData("x (x) S 1 2 3")]
    public void Cut_or_strange_text_is_an_error(string text)
    {
        var error = Assert.Throws<CriuException>(() => Parse(text));

        Assert.Equal("MalformedProc", error.Id);
        Assert.Contains("/proc/12/stat", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Every_prefix_is_an_error_never_another_record()
    {
        string text = $"4356 (a) R 1 () R {Numbers}";
        for (int length = 0; length < text.Length - Numbers.Split(' ')[^1].Length; length++)
        {
            Assert.Throws<CriuException>(() => Parse(text[..length]));
        }
    }

    [Fact]
    public void Reads_itself()
    {
        using var self = new ProcDirectory(Environment.ProcessId);
        ProcStat stat = ProcStat.Read(self);

        Assert.Equal(Environment.ProcessId, stat.Pid);
        Assert.True(stat.StartBrk > 0 && stat.EnvEnd > stat.ArgStart);
    }

    private static ProcStat Parse(string text) =>
        ProcStat.Parse(System.Text.Encoding.UTF8.GetBytes(text), new ProcSource("/proc/12/stat", 12));
}
