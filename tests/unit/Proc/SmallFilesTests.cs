using System.Text;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Proc;
using Xunit;

namespace CriuPS.Tests.Proc;

/// <summary>The files that hold little: each with the text that a kernel writes, and with texts that none writes.</summary>
public sealed class SmallFilesTests
{
    private static readonly string[] s_limitNames =
    [
        "Max cpu time", "Max file size", "Max data size", "Max stack size", "Max core file size", "Max resident set", "Max processes",
        "Max open files", "Max locked memory", "Max address space", "Max file locks", "Max pending signals", "Max msgqueue size",
        "Max nice priority", "Max realtime priority", "Max realtime timeout",
    ];

    [Fact]
    public void Limits_of_every_value()
    {
        ResourceLimit[] limits = ProcLimits.Parse(Bytes(Limits((i, hard) => hard ? "unlimited" : ((ulong)i * 1000).ToString())));

        IEnumerable<int> all = Enumerable.Range(0, 16);
        Assert.Equal(all.Select(i => new ResourceLimit((ResourceKind)i, (ulong)i * 1000, ResourceLimit.Unlimited)), limits);
    }

    [Fact]
    public void Limits_that_fill_their_column_are_read()
    {
        ResourceLimit[] limits = ProcLimits.Parse(Bytes(Limits((_, hard) => hard ? "18446744073709551614" : "18446744073709551613")));

        Assert.All(limits, l => Assert.Equal((ulong.MaxValue - 2, ulong.MaxValue - 1), (l.Soft, l.Hard)));
    }

    [Fact]
    public void A_missing_or_strange_limit_is_an_error()
    {
        string text = Limits((_, _) => "5");
        Malformed(() => ProcLimits.Parse(Bytes(text[..text.IndexOf("Max realtime timeout", StringComparison.Ordinal)])));
        Malformed(() => ProcLimits.Parse(Bytes(text.Replace("Max nice", "Min nice", StringComparison.Ordinal))));
        Malformed(() => ProcLimits.Parse(Bytes(text.Replace(" 5 ", " five ", StringComparison.Ordinal))));
        Malformed(() => ProcLimits.Parse(""u8));
    }

    [Fact]
    public void Timers()
    {
        List<PosixTimer> timers = PosixTimer.ParseFile(
            "ID: 1\nsignal: 60/00007fff86e452a8\nnotify: signal/pid.2634\nClockID: 0\n"u8
            + "ID: 0\nsignal: 0/(null)\nnotify: thread/tid.7\nClockID: -6\n"u8);

        Assert.Equal(
            [
                new PosixTimer(1, 60, 0x7fff86e452a8, TimerNotify.Signal, false, 2634, 0),
                new PosixTimer(0, 0, 0, TimerNotify.Thread, true, 7, -6),
            ],
            timers);
        Assert.Empty(PosixTimer.ParseFile(""u8));
        Malformed(() => PosixTimer.ParseFile("ID: 1\nsignal: 60/0\n"u8));
        Malformed(() => PosixTimer.ParseFile("ID: 1\nsignal: 60/0\nnotify: post/pid.2\nClockID: 0\n"u8));
        Malformed(() => PosixTimer.ParseFile("ID: 1\nsignal: 60/0\nnotify: signal/2\nClockID: 0\n"u8));
    }

    [Fact]
    public void Auxiliary_vector()
    {
        byte[] bytes = [6, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, .. new byte[16]];

        Assert.Equal([new AuxEntry(6, 4096), new AuxEntry(0, 0)], Auxv.Parse(bytes));
        Assert.Empty(Auxv.Parse(default));
        Malformed(() => Auxv.Parse(bytes.AsSpan(0, 16)));
        Malformed(() => Auxv.Parse(bytes.AsSpan(0, 24)));
    }

    [Theory]
    [InlineData("", new string[0])]
    [InlineData("a\0b\0", new[] { "a", "b" })]
    [InlineData("a\0\0b", new[] { "a", "", "b" })]
    [InlineData("\0", new[] { "" })]
    public void Texts_ended_by_zero_bytes(string text, string[] expected) =>
        Assert.Equal(expected, NulSeparated.Parse(Bytes(text)).Select(t => t.ToString()));

    [Fact]
    public void Io()
    {
        const string Text =
            "rchar: 18446744073709551615\nwchar: 2\nsyscr: 3\nsyscw: 4\nread_bytes: 5\nwrite_bytes: 6\ncancelled_write_bytes: -7\n";

        Assert.Equal(new ProcIo(ulong.MaxValue, 2, 3, 4, 5, 6, -7), ProcIo.Parse(Bytes(Text)));
        Malformed(() => ProcIo.Parse(Bytes(Text[..40])));
        Malformed(() => ProcIo.Parse(Bytes(Text.Replace("syscr", "rsysc", StringComparison.Ordinal))));
    }

    [Fact]
    public void Cgroups()
    {
        List<CgroupMembership> cgroups = CgroupMembership.ParseFile("9:name=systemd:/a:b c (deleted)\n2:cpu,cpuacct:/\n0::/../x\n"u8);

        Assert.Equal(
            [(9, "name=systemd", "/a:b c (deleted)", false), (2, "cpu,cpuacct", "/", false), (0, "", "/../x", true)],
            cgroups.Select(c => (c.HierarchyId, c.Controllers.ToString(), c.Path.ToString(), c.IsUnified)));
        Malformed(() => CgroupMembership.ParseFile("9:/\n"u8));
    }

    [Theory]
    [InlineData("net:[4026531833]", "net", 4026531833ul)]
    [InlineData("pid:[18446744073709551615]", "pid", ulong.MaxValue)]
    public void Namespace_links(string text, string type, ulong inode) =>
        Assert.Equal(new NamespaceLink("x", type, inode), NamespaceLink.Parse("x", Bytes(text)));

    [Theory]
    [InlineData("net:4026531833")]
    [InlineData("net:[x]")]
    [InlineData("net:[1]2")]
    [InlineData("")]
    public void Malformed_namespace_links_are_errors(string text) => Malformed(() => NamespaceLink.Parse("x", Bytes(text)));

    [Fact]
    public void Own_namespaces_are_told()
    {
        using var self = new ProcDirectory(Environment.ProcessId);
        List<NamespaceLink> links = NamespaceLink.Read(self);

        Assert.Superset(
            new HashSet<string> { "net", "mnt", "pid", "pid_for_children", "user", "uts", "ipc", "cgroup" },
            links.Select(l => l.Name).ToHashSet());
        Assert.Equal(links.Single(l => l.Name == "pid").Inode, links.Single(l => l.Name == "pid_for_children").Inode);
        Assert.Equal("pid", links.Single(l => l.Name == "pid_for_children").Type);
    }

    [Fact]
    public void Children_and_names()
    {
        Assert.Equal([12, 345, 6], ProcTasks.ParseChildren("12 345 6 "u8));
        Assert.Empty(ProcTasks.ParseChildren(""u8));
        Malformed(() => ProcTasks.ParseChildren("12 x"u8));
        Assert.Equal("a\n", ProcAttributes.ParseComm("a\n\n"u8).ToString());
        Malformed(() => ProcAttributes.ParseComm("a"u8));
    }

    [Fact]
    public void Single_values_of_the_own_process()
    {
        using var self = new ProcDirectory(Environment.ProcessId);

        Assert.Equal(int.Parse(File.ReadAllText("/proc/self/oom_score_adj")), ProcAttributes.ReadOomScoreAdjustment(self));
        Assert.Equal(Convert.ToUInt32(File.ReadAllText("/proc/self/personality").Trim(), 16), ProcAttributes.ReadPersonality(self));
        Assert.Equal(Convert.ToUInt32(File.ReadAllText("/proc/self/coredump_filter").Trim(), 16), ProcAttributes.ReadCoreDumpFilter(self));
        Assert.Equal(File.Exists("/proc/self/loginuid"), ProcAttributes.ReadLoginUid(self) is not null);
        Assert.Equal(Environment.CurrentDirectory, ProcAttributes.ReadWorkingDirectory(self)?.ToString());
        Assert.Equal("/", ProcAttributes.ReadRoot(self)?.ToString());
    }

    [Fact]
    public void The_system()
    {
        Assert.Equal(TimeSpan.FromMilliseconds(89_795_120), ProcRoot.ParseUptime("89795.12 1234.5\n"u8));
        Assert.Equal(1795492663, ProcRoot.ParseBootTime("cpu 1 2\nbtime 1795492663\nx 1\n"u8).ToUnixTimeSeconds());
        Malformed(() => ProcRoot.ParseUptime("x"u8));
        Malformed(() => ProcRoot.ParseBootTime("cpu 1\n"u8));
        Assert.Equal(Guid.Parse(File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim()), ProcRoot.ReadBootId());
        Assert.InRange((DateTimeOffset.UtcNow - ProcRoot.ReadBootTime() - ProcRoot.ReadUptime()).TotalSeconds, -2, 2);
        Assert.Contains(Environment.ProcessId, ProcRoot.ListPids());
    }

    [Fact]
    public void Text_is_shown_safely()
    {
        Assert.Equal(@"a\nb\x1b[2Jc\td\x9b", new OsText("a\nb\x1b[2Jc\td\u009b").ToDisplayString());
        Assert.Equal("ä b", new OsText("ä b").ToDisplayString());
        Assert.Equal("\ufffd", new OsText([0xff]).ToString());
        Assert.NotEqual(new OsText([0xff]), new OsText([0xfe]));
        Assert.Equal(new OsText([0xff]).GetHashCode(), new OsText([0xff]).GetHashCode());
        Assert.True(default(OsText) == new OsText("") && new OsText("").IsEmpty);
    }

    private static string Limits(Func<int, bool, string> value) =>
        "Limit                     Soft Limit           Hard Limit           Units     \n"
        + string.Concat(s_limitNames.Select((name, i) => $"{name,-25} {value(i, false),-20} {value(i, true),-20} {"units",-10}\n"));

    private static void Malformed(Action parse) => Assert.Equal("MalformedProc", Assert.Throws<CriuException>(parse).Id);

    private static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text);
}
