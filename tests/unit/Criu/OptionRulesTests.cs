using CriuPS.Criu.Line;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Options;
using Xunit;

namespace CriuPS.Tests.Criu;

public sealed class OptionRulesTests
{
    [Theory]
    [InlineData("tcp-established", null)]
    [InlineData("tls", null)]
    [InlineData("track-mem", null)]
    [InlineData("page-server", null)]
    [InlineData("external", "mnt[/dev]:dev")]
    [InlineData("freeze-cgroup", "/sys/fs/cgroup/x")]
    public void ADumpRefusesWhatTheEngineCannotDo(string name, string? value)
    {
        DumpOptions options = OptionTable.Apply(new DumpOptions { Pid = 1 }, [new NamedOption(name, value)]);
        CriuException e = Assert.Throws<CriuException>(() => OptionRules.Validate(options));
        Assert.Equal(("OptionNotSupported", CriuErrorKind.NotSupported, $"--{name}"), (e.Id, e.Kind, e.Subject));
    }

    // Each of these changes nothing for a dump of what can be dumped.
    [Theory]
    [InlineData("no-tcp-established", null)]
    [InlineData("manage-cgroups", null)]
    [InlineData("manage-cgroups", "ignore")]
    [InlineData("cpu-cap", "all")]
    [InlineData("external", "file[1f:2a]")]
    [InlineData("network-lock", "skip")]
    [InlineData("ghost-limit", "10M")]
    [InlineData("ghost-fiemap", null)]
    [InlineData("unprivileged", null)]
    [InlineData("libdir", "/nonexistent")]
    [InlineData("force-irmap", null)]
    [InlineData("root", "/")]
    [InlineData("weak-sysctls", null)]
    public void ADumpTakesWhatChangesNothing(string name, string? value) =>
        OptionRules.Validate(OptionTable.Apply(new DumpOptions { Pid = 1 }, [new NamedOption(name, value)]));

    [Fact]
    public void AllThatIsRefusedIsSaidAtOnce()
    {
        DumpOptions options = OptionTable.Apply(new DumpOptions { Pid = 1 }, [new NamedOption("tcp-established"), new NamedOption("track-mem")]);
        CriuException e = Assert.Throws<CriuException>(() => OptionRules.Validate(options));
        Assert.Contains("--tcp-established", e.Message);
        Assert.Contains("--track-mem", e.Message);
    }

    [Theory]
    [InlineData("restore-sibling")]
    [InlineData("exec-cmd,restore-detached")]
    public void ARestoreRefusesContradictions(string names)
    {
        NamedOption[] named = [.. names.Split(',').Select(name => new NamedOption(name))];
        RestoreOptions options = OptionTable.Apply(new RestoreOptions { Detached = false }, named);
        Assert.Equal("ContradictoryOptions", Assert.Throws<CriuException>(() => OptionRules.Validate(options)).Id);
    }

    [Theory]
    [InlineData("exec-cmd", null)]
    [InlineData("inherit-fd", "fd[3]:x")]
    [InlineData("mntns-compat-mode", null)]
    public void ADumpRefusesWhatIsForRestores(string name, string? value)
    {
        DumpOptions options = OptionTable.Apply(new DumpOptions { Pid = 1 }, [new NamedOption(name, value)]);
        CriuException e = Assert.Throws<CriuException>(() => OptionRules.Validate(options));
        Assert.Equal(("ContradictoryOptions", $"--{name}"), (e.Id, e.Subject));
    }

    [Theory]
    [InlineData("use -ShellJob to let it join", "use --shell-job to let it join")]
    [InlineData("-LeaveRunning and -LeaveStopped contradict", "--leave-running and --leave-stopped contradict")]
    [InlineData("see -CpuCapability (--cpu-cap), or -PathMap (--path-map) x", "see --cpu-cap, or --path-map x")]
    [InlineData("a file-Name, 5 -X, - Dash and --tree stay", "a file-Name, 5 -X, - Dash and --tree stay")]
    public void NamesOfOptionsAreSpeltAsOnACommandLine(string text, string expected) => Assert.Equal(expected, Spelling.OptionNames(text));
}
