using CriuPS.Criu.Line;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Options;
using Xunit;

namespace CriuPS.Tests.Criu;

public sealed class OptionTableTests
{
    // What getopt_long is given by CRIU 4.2: a name, ':' for a value, '::' for one that may be left out.
    private const string Names = """
        tree: leave-stopped leave-running restore-detached restore-sibling daemon images-dir: work-dir: log-file: join-ns: root:
        ext-unix-sk:: help tcp-established close: log-pid version evasive-devices pidfile: veth-pair: action-script: link-remap
        shell-job file-locks page-server address: port: prev-images-dir: ms track-mem auto-dedup libdir: cpu-cap:: force-irmap
        ext-mount-map: exec-cmd manage-cgroups:: cgroup-root: inherit-fd: feature: skip-mnt: enable-fs: enable-external-sharing
        enable-external-masters freeze-cgroup: ghost-limit: irmap-scan-path: lsm-profile: timeout: external: empty-ns: lazy-pages
        extra experimental all cgroup-props: cgroup-props-file: cgroup-dump-controller: skip-in-flight deprecated display-stats
        weak-sysctls status-fd: tcp-close verbosity:: ps-socket: stream config: no-default-config tls-cacert: tls-cacrl: tls-cert:
        tls-key: tls tls-no-cn-verify cgroup-yard: pre-dump-mode: file-validation: skip-file-rwx-check lsm-mount-context:
        network-lock: mntns-compat-mode unprivileged ghost-fiemap allow-uprobes
        """;

    private const string OwnNames = "unsupported-files: include-content: file-policy: path-map:";

    [Fact]
    public void KnowsExactlyTheOptionsOfCriuAndOurOwn()
    {
        string[] expected = $"{Names} {OwnNames}".Split((char[])[' ', '\n'], StringSplitOptions.RemoveEmptyEntries);
        string[] found = [.. FaceOptions.All.Select(o => o.Name + o.Argument switch
        {
            OptionArgument.None => "", OptionArgument.Required => ":", _ => "::",
        })];
        Assert.Equal(expected.Order(), found.Order());
    }

    [Fact]
    public void KnowsExactlyTheLettersOfCriu() =>
        Assert.Equal("DJLMRSVWdhjlorstvx", string.Concat(FaceOptions.All.Select(o => o.Short).Where(c => c != '\0').OrderBy(c => (int)c)));

    [Fact]
    public void AnOptionThatIsNotSupportedIsAnOption() =>
        Assert.All(OptionRules.NotSupported, o => Assert.NotNull(OptionTable.Find(o.Name, out _)));

    [Fact]
    public void DefaultsAreThoseOfCriu()
    {
        CriuOptions options = new();
        Assert.Equal((".", 1L << 20), (options.ImagesDirectory, options.GhostLimit));
        Assert.Equal((TimeSpan.FromSeconds(10), 2), (options.Timeout, options.LogLevel));
        Assert.Equal(CpuCapabilities.Fpu | CpuCapabilities.Instructions, options.CpuCapabilities);
        Assert.Equal(FileValidation.BuildId, options.FileValidation);
        OptionRules.Validate(options);
    }

    [Theory]
    [InlineData("verbosity", null, 3)]
    [InlineData("verbosity", "vvv", 6)]
    [InlineData("verbosity", "4", 4)]
    [InlineData("verbosity", "erbosity=0", 0)]
    public void Verbosity(string name, string? value, int level) =>
        Assert.Equal(level, OptionTable.Apply(new CriuOptions(), [new NamedOption(name, value)]).LogLevel);

    [Theory]
    [InlineData("4096", 4096)]
    [InlineData("64K", 64 << 10)]
    [InlineData("2M", 2 << 20)]
    [InlineData("1G", 1 << 30)]
    public void Sizes(string value, long bytes) =>
        Assert.Equal(bytes, OptionTable.Apply(new CriuOptions(), [new NamedOption("ghost-limit", value)]).GhostLimit);

    [Theory]
    [InlineData(null, CpuCapabilities.All | CpuCapabilities.Image)]
    [InlineData("none", CpuCapabilities.None)]
    [InlineData("cpu", CpuCapabilities.All | CpuCapabilities.Image)]
    [InlineData("^ins", CpuCapabilities.Fpu | CpuCapabilities.Image)]
    [InlineData("none,cpu", CpuCapabilities.Cpu | CpuCapabilities.Image)]
    [InlineData("9", CpuCapabilities.Fpu | CpuCapabilities.Image)]
    public void Capabilities(string? value, CpuCapabilities expected) =>
        Assert.Equal(expected, OptionTable.Apply(new CriuOptions(), [new NamedOption("cpu-cap", value)]).CpuCapabilities);

    [Theory]
    [InlineData("tree", "0")]
    [InlineData("tree", "x")]
    [InlineData("port", "0")]
    [InlineData("port", "65536")]
    [InlineData("ghost-limit", "1T")]
    [InlineData("ghost-limit", "9999999999G")]
    [InlineData("timeout", "soon")]
    [InlineData("manage-cgroups", "always")]
    [InlineData("network-lock", "ufw")]
    [InlineData("cpu-cap", "gpu")]
    [InlineData("empty-ns", "ipc")]
    [InlineData("inherit-fd", "3:file")]
    [InlineData("inherit-fd", "fd[x]:file")]
    [InlineData("join-ns", "net")]
    [InlineData("join-ns", "moon:1")]
    [InlineData("veth-pair", "in")]
    [InlineData("ext-unix-sk", "1,,2")]
    [InlineData("file-validation", "checksum")]
    public void AValueThatMeansNothingIsNamed(string name, string value)
    {
        NamedOption[] named = [new(name, value)];
        CriuException e = Assert.Throws<CriuException>(() => OptionTable.Apply(new DumpOptions { Pid = 0 }, named));
        Assert.Equal(("BadOptionValue", $"--{name}"), (e.Id, e.Subject));
        Assert.StartsWith($"option --{name}: '", e.Message);
    }

    [Fact]
    public void LaterOptionsWinAndSwitchesCanBeTurnedOff()
    {
        NamedOption[] named =
            [new("shell-job"), new("leave-stopped"), new("leave-running"), new("no-shell-job"), new("tree", "1"), new("tree", "7")];
        DumpOptions options = OptionTable.Apply(new DumpOptions { Pid = 0 }, named);
        Assert.Equal((false, FinalState.Run, 7), (options.ShellJob, options.FinalState, options.Pid));
    }

    [Fact]
    public void ListsGrow()
    {
        NamedOption[] named =
            [new("inherit-fd", "fd[3]:pipe:[7]"), new("inherit-fd", "fd[4]:a/b"), new("action-script", "x"), new("external", "y")];
        CriuOptions options = OptionTable.Apply(new CriuOptions(), named);
        Assert.Equal([new InheritedDescriptor(3, "pipe:[7]"), new InheritedDescriptor(4, "a/b")], options.InheritedDescriptors);
        Assert.Equal((1, 1), (options.ActionScripts.Length, options.External.Length));
    }
}
