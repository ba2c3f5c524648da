using CriuPS.Criu.Line;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Options;
using Xunit;

namespace CriuPS.Tests.Criu;

public sealed class ConfigFileTests
{
    [Theory]
    [InlineData("tcp-close", "tcp-close")]
    [InlineData("no-tcp-close", "no-tcp-close")]
    [InlineData("  \t log-file  dump.log  ", "log-file=dump.log")]
    [InlineData("log-file\tdump.log # a comment", "log-file=dump.log")]
    [InlineData("log-file=dump.log", "log-file=dump.log")]
    [InlineData("verbosity 4", "verbosity=4")]
    [InlineData("work-dir \"/a dir/with \\\"quotes\\\"\"  # comment", "work-dir=/a dir/with \"quotes\"")]
    [InlineData("work-dir \"\"", "work-dir=")]
    [InlineData("work-dir \"/a#b\"", "work-dir=/a#b")]
    [InlineData("# only a comment", "")]
    [InlineData("   ", "")]
    [InlineData("shell-job # comment", "shell-job")]
    public void ReadsAStatement(string line, string expected)
    {
        IReadOnlyList<NamedOption> options = ConfigFile.Parse([line], "file");
        Assert.Equal(expected, string.Join(' ', options.Select(o => o.Value is null ? o.Name : $"{o.Name}={o.Value}")));
    }

    [Theory]
    [InlineData("log-file a b", "BadConfig")]
    [InlineData("log-file \"a", "BadConfig")]
    [InlineData("log-file \"", "BadConfig")]
    [InlineData("log-file \"a\" b", "BadConfig")]
    [InlineData("log-file=a b", "BadConfig")]
    [InlineData("shell-job yes", "OptionTakesNoValue")]
    [InlineData("log-file", "OptionNeedsValue")]
    [InlineData("bogus", "UnknownOption")]
    public void RefusesWhatIsNoStatement(string line, string id) =>
        Assert.Equal(id, Assert.Throws<CriuException>(() => ConfigFile.Parse([line], "file")).Id);

    [Fact]
    public void NamesFileAndLine()
    {
        CriuException e = Assert.Throws<CriuException>(() => ConfigFile.Parse(["# fine", "log-file a b"], "/etc/criu/x.conf"));
        Assert.Equal("/etc/criu/x.conf, line 2", e.Subject);
    }

    [Fact]
    public void AFileThatIsNamedMustBeThere()
    {
        CriuException e = Assert.Throws<CriuException>(() => ConfigSources.Read("/nonexistent/criu.conf", defaults: false).ToList());
        Assert.Equal("ConfigUnreadable", e.Id);
    }
}
