using static CriuPS.Engine.Options.OptionValues;

namespace CriuPS.Engine.Options;

/// <content>Kinds of objects and how they are treated.</content>
public static partial class OptionTable
{
    private static OptionDefinition[] Files() =>
    [
        Value("external", "RESOURCE", "a resource that is not saved: kind[id]:name", (o, v) => o with { External = [.. o.External, v] }),
        Value("inherit-fd", "fd[N]:RESOURCE", "descriptor N of this program takes the place of a saved one",
            (o, v) => o with { InheritedDescriptors = [.. o.InheritedDescriptors, Inherited("inherit-fd", v)] }),
        Switch("file-locks", "keep locks of files", (o, on) => o with { FileLocks = on }, 'l'),
        Switch("link-remap", "files without a name may get one", (o, on) => o with { LinkRemap = on }),
        Switch("evasive-devices", "a device may be opened by another path", (o, on) => o with { EvasiveDevices = on }),
        Value("ghost-limit", "SIZE", "the largest deleted file that is saved (default: 1M)",
            (o, v) => o with { GhostLimit = Size("ghost-limit", v) }),
        Switch("ghost-fiemap", "find holes of deleted files by FIEMAP", (o, on) => o with { GhostFiemap = on }),
        Value("file-validation", "METHOD", "how a file is known again: filesize or buildid (default)",
            (o, v) => o with
            {
                FileValidation = Choice("file-validation", v, ("filesize", FileValidation.FileSize), ("buildid", FileValidation.BuildId)),
            }),
        Switch("skip-file-rwx-check", "permissions of files may have changed", (o, on) => o with { SkipFileModeCheck = on }),
        Switch("force-irmap", "look for the paths of watched files at once", (o, on) => o with { ForceIrmap = on }),
        Value("irmap-scan-path", "DIR", "where paths of watched files are looked for",
            (o, v) => o with { IrmapScanPaths = [.. o.IrmapScanPaths, v] }),
        Switch("allow-uprobes", "memory of uprobes is left to the kernel", (o, on) => o with { AllowUprobes = on }),
    ];

    private static OptionDefinition[] Network() =>
    [
        Switch("tcp-established", "keep TCP connections", (o, on) => o with { TcpEstablished = on }),
        Switch("tcp-close", "close TCP connections", (o, on) => o with { TcpClose = on }),
        Switch("skip-in-flight", "drop TCP connections that nobody has accepted", (o, on) => o with { TcpSkipInFlight = on }),
        Value("network-lock", "METHOD", "what holds the network meanwhile: iptables, nftables or skip",
            (o, v) => o with
            {
                NetworkLock = Choice("network-lock", v, ("iptables", NetworkLock.IpTables), ("nftables", NetworkLock.NfTables),
                    ("none", NetworkLock.Skip), ("skip", NetworkLock.Skip)),
            }),
        OptionalValue("ext-unix-sk", "INODES", "Unix sockets may be connected with processes outside of the tree",
            (o, v) => o with
            {
                ExternalUnixSockets = true,
                ExternalUnixSocketInodes = [.. o.ExternalUnixSocketInodes, .. v is null ? [] : Inodes("ext-unix-sk", v)],
            }, 'x'),
        Value("veth-pair", "IN=OUT", null, (o, v) => o with { VethPairs = [.. o.VethPairs, Pair("veth-pair", v, '=')] }),
        Value("empty-ns", "net", "make the network namespace, but do not fill it",
            (o, v) => o with { EmptyNetwork = Choice("empty-ns", v, ("net", true)) }),
        Switch("weak-sysctls", "skip settings that this kernel does not have", (o, on) => o with { WeakSysctls = on }),
    ];

    private static OptionDefinition[] Surroundings() =>
    [
        Value("root", "DIR", "the root file system of the restored mount namespace", (o, v) => o with { Root = v }, 'r'),
        Value("join-ns", "KIND:TARGET", "join the namespace of a pid or a file",
            (o, v) => o with { JoinedNamespaces = [.. o.JoinedNamespaces, Joined("join-ns", v)] }, 'J'),
        Value("skip-mnt", "PATH", "leave a mount point out", (o, v) => o with { SkippedMounts = [.. o.SkippedMounts, v] }),
        Value("enable-fs", "NAMES", "mount file systems of which nothing is known",
            (o, v) => o with { EnabledFileSystems = [.. o.EnabledFileSystems, .. v.Split(',')] }),
        Value("ext-mount-map", "KEY:VALUE", null, ExternalMount, 'M'),
        Switch("enable-external-sharing", "external mounts may be shared", (o, on) => o with { ExternalSharing = on }),
        Switch("enable-external-masters", "external mounts may be slaves", (o, on) => o with { ExternalMasters = on }),
        Switch("mntns-compat-mode", "make mounts in the way of old kernels", (o, on) => o with { MountCompatibility = on }),
        Value("lsm-profile", "MODULE:LABEL", "the label of a security module", (o, v) => o with { LsmProfile = v }),
        Value("lsm-mount-context", "CONTEXT", "the context of mounts", (o, v) => o with { LsmMountContext = v }),
    ];

    private static OptionDefinition[] Cgroups() =>
    [
        OptionalValue("manage-cgroups", "MODE", "keep cgroups: none, props, soft (default), full, strict or ignore",
            (o, v) => o with { Cgroups = v is null ? CgroupMode.Soft : CgroupModeOf(v) }),
        Value("cgroup-root", "[CONTROLLER:]/PATH", "another root for cgroups", (o, v) => o with { CgroupRoots = [.. o.CgroupRoots, v] }),
        Value("cgroup-props", "YAML", "which properties of cgroups are kept", (o, v) => o with { CgroupProperties = v }),
        Value("cgroup-props-file", "FILE", "the same, from a file", (o, v) => o with { CgroupPropertiesFile = v }),
        Value("cgroup-dump-controller", "NAME", "a controller that is dumped; others are not",
            (o, v) => o with { CgroupControllers = [.. o.CgroupControllers, v] }),
        Value("cgroup-yard", "DIR", "where cgroups are mounted already", (o, v) => o with { CgroupYard = v }),
        Value("freeze-cgroup", "DIR", "stop the tree by the freezer of its cgroup", (o, v) => o with { FreezeCgroup = v }),
    ];

    private static OptionDefinition[] Migration() =>
    [
        Switch("track-mem", "track changes of memory for the next round", (o, on) => o with { TrackMemory = on }),
        Value("prev-images-dir", "DIR", "the images of the round before, relative to the images directory",
            (o, v) => o with { PreviousImages = v }),
        Value("pre-dump-mode", "MODE", "how a pre-dump reads memory: splice (default) or read",
            (o, v) => o with { PreDumpMode = Choice("pre-dump-mode", v, ("splice", PreDumpMode.Splice), ("read", PreDumpMode.Read)) }),
        Switch("auto-dedup", "remove superseded pages from older images", (o, on) => o with { AutoDeduplicate = on }),
        Switch("lazy-pages", "restore memory when it is touched", (o, on) => o with { LazyPages = on }),
        Switch("page-server", "send pages to a page server", (o, on) => o with { UsePageServer = on }),
        Value("ps-socket", "FD", "a connection with a page server that is there already",
            (o, v) => o with { PageServerSocket = Number("ps-socket", v, 0) }),
        Switch("tls", "encrypt the connection", (o, on) => o with { Tls = on }),
        Value("tls-cacert", "FILE", "the certificates that sign others", (o, v) => o with { TlsCaCertificate = v }),
        Value("tls-cacrl", "FILE", "certificates that are not valid any more", (o, v) => o with { TlsRevocationList = v }),
        Value("tls-cert", "FILE", "our certificate", (o, v) => o with { TlsCertificate = v }),
        Value("tls-key", "FILE", "our private key", (o, v) => o with { TlsKey = v }),
        Switch("tls-no-cn-verify", "do not look at the name in the certificate", (o, on) => o with { TlsNoNameCheck = on }),
    ];

    private static CriuOptions ExternalMount(CriuOptions options, string value) => value == "auto"
        ? options with { AutoExternalMounts = true }
        : options with { ExternalMounts = [.. options.ExternalMounts, Pair("ext-mount-map", value, ':')] };

    private static CgroupMode CgroupModeOf(string value) => Choice(
        "manage-cgroups", value, ("none", CgroupMode.None), ("props", CgroupMode.Properties), ("soft", CgroupMode.Soft),
        ("full", CgroupMode.Full), ("strict", CgroupMode.Strict), ("ignore", CgroupMode.Ignore));
}
