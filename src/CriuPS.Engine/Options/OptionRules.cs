using CriuPS.Engine.Errors;

namespace CriuPS.Engine.Options;

/// <summary>
/// Which options the engine cannot honour yet, and which contradict each other. An operation looks at this before anything else, so that no
/// option is silently ignored by any face.
/// </summary>
public static class OptionRules
{
    private const string Sockets = "sockets are not saved yet";
    private const string Namespaces = "namespaces are not restored yet";
    private const string Cgroups = "cgroups are not saved yet";
    private const string Rounds = "memory in rounds is not supported yet";
    private const string Servers = "page servers are not supported yet";

    /// <summary>A capability that is missing: remove its line when it is there.</summary>
    private static readonly Unsupported[] s_unsupported =
    [
        new("tcp-established", o => o.TcpEstablished, Sockets),
        new("tcp-close", o => o.TcpClose, Sockets),
        new("skip-in-flight", o => o.TcpSkipInFlight, Sockets),
        new("network-lock", o => o is DumpOptions && o.NetworkLock is NetworkLock.IpTables or NetworkLock.NfTables, Sockets),
        new("evasive-devices", o => o.EvasiveDevices, "files are only opened by their own path"),
        new("external", o => o.External.Any(name => !name.StartsWith("file[", StringComparison.Ordinal) && !name.StartsWith("unix[", StringComparison.Ordinal)),
            "external resources other than files and sockets are not supported yet"),
        new("allow-uprobes", o => o is DumpOptions && o.AllowUprobes, "uprobes are not supported yet"),
        new("root", o => o is RestoreOptions && o.Root is not null, Namespaces),
        new("join-ns", o => o is RestoreOptions && !o.JoinedNamespaces.IsEmpty, Namespaces),
        new("empty-ns", o => o.EmptyNetwork, Namespaces),
        new("skip-mnt", o => o is DumpOptions && !o.SkippedMounts.IsEmpty, Namespaces),
        new("enable-fs", o => !o.EnabledFileSystems.IsEmpty, Namespaces),
        new("ext-mount-map", o => !o.ExternalMounts.IsEmpty || o.AutoExternalMounts, Namespaces),
        new("enable-external-sharing", o => o.ExternalSharing, Namespaces),
        new("enable-external-masters", o => o.ExternalMasters, Namespaces),
        new("mntns-compat-mode", o => o is RestoreOptions && o.MountCompatibility, Namespaces),
        new("veth-pair", o => !o.VethPairs.IsEmpty, Namespaces),
        new("weak-sysctls", o => o is RestoreOptions && o.WeakSysctls, Namespaces),
        new("lsm-profile", o => o is RestoreOptions && o.LsmProfile is not null, "security labels are not restored yet"),
        new("lsm-mount-context", o => o is RestoreOptions && o.LsmMountContext is not null, Namespaces),
        new("cgroup-root", o => !o.CgroupRoots.IsEmpty, Cgroups),
        new("cgroup-props", o => o.CgroupProperties is not null, Cgroups),
        new("cgroup-props-file", o => o.CgroupPropertiesFile is not null, Cgroups),
        new("cgroup-dump-controller", o => !o.CgroupControllers.IsEmpty, Cgroups),
        new("cgroup-yard", o => o.CgroupYard is not null, Cgroups),
        new("freeze-cgroup", o => o is DumpOptions && o.FreezeCgroup is not null, "trees are only frozen by ptrace yet"),
        new("track-mem", o => o is DumpOptions && o.TrackMemory, Rounds),
        new("prev-images-dir", o => o is DumpOptions && o.PreviousImages is not null, Rounds),
        new("auto-dedup", o => o.AutoDeduplicate, Rounds),
        new("lazy-pages", o => o.LazyPages, "memory on demand is not supported yet"),
        new("page-server", o => o is DumpOptions && o.UsePageServer, Servers),
        new("ps-socket", o => o.PageServerSocket is not null, Servers),
        new("tls", o => o.Tls, Servers),
        new("stream", o => o.Stream, "streams of images are not supported yet"),
        new("libdir", o => o.PluginDirectory is { } directory && HasPlugins(directory), "plugins are not supported"),
        new("log-pid", o => o.LogPerProcess && o.LogFile is not null, "all of an operation goes into one log"),
    ];

    /// <summary>What is wrong wherever it is asked for.</summary>
    private static readonly Contradiction[] s_contradictions =
    [
        new("restore-sibling", o => o is RestoreOptions { Sibling: true, Detached: false }, "needs --restore-detached"),
        new("exec-cmd", o => o.ExecuteCommand && o is RestoreOptions { Detached: true }, "contradicts --restore-detached"),
        new("exec-cmd", o => o.ExecuteCommand && o is not RestoreOptions, "is for restore alone"),
        new("inherit-fd", o => !o.InheritedDescriptors.IsEmpty && o is not RestoreOptions, "is for restore alone"),
        new("mntns-compat-mode", o => o.MountCompatibility && o is not RestoreOptions, "is for restore alone"),
        new("path-map", o => o.MovedPaths.Any(m => !m.From.StartsWith('/') || !m.To.StartsWith('/')), "needs absolute paths"),
        new("ps-socket", o => o.Daemon && o.PageServerSocket is <= 2, "contradicts --daemon, which closes the standard descriptors"),
    ];

    /// <summary>Fails if options contradict each other, or ask for what the engine cannot do yet.</summary>
    /// <exception cref="CriuException">All such options are named.</exception>
    public static void Validate(CriuOptions options)
    {
        foreach (Contradiction rule in s_contradictions)
        {
            if (rule.IsBroken(options))
            {
                throw new CriuException("ContradictoryOptions", CriuErrorKind.BadOption, $"option --{rule.Name} {rule.Why}")
                {
                    Subject = $"--{rule.Name}",
                };
            }
        }

        Unsupported[] asked = [.. s_unsupported.Where(option => option.IsAsked(options))];
        if (asked.Length > 0)
        {
            string reasons = string.Join("; ", asked.Select(o => $"option --{o.Name} is not supported: {o.Why}"));
            throw new CriuException("OptionNotSupported", CriuErrorKind.NotSupported, reasons)
            {
                Subject = $"--{asked[0].Name}", Remedy = "leave it out",
            };
        }
    }

    /// <summary>The options that the engine cannot honour yet, each with the reason.</summary>
    public static IEnumerable<(string Name, string Why)> NotSupported => s_unsupported.Select(o => (o.Name, o.Why));

    private static bool HasPlugins(string directory) => Directory.Exists(directory) && Directory.EnumerateFiles(directory, "*.so").Any();

    private readonly record struct Unsupported(string Name, Func<CriuOptions, bool> IsAsked, string Why);

    private readonly record struct Contradiction(string Name, Func<CriuOptions, bool> IsBroken, string Why);
}
