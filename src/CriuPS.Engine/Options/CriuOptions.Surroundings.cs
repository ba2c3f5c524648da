using System.Collections.Immutable;

namespace CriuPS.Engine.Options;

/// <summary>Namespaces, mounts, network devices, cgroups and security modules.</summary>
public partial record CriuOptions
{
    /// <summary>The root file system of a restored mount namespace.</summary>
    public string? Root { get; init; }

    /// <summary>Namespaces that the tree joins.</summary>
    public ImmutableArray<JoinedNamespace> JoinedNamespaces { get; init; } = [];

    /// <summary>The network namespace is made, but not filled.</summary>
    public bool EmptyNetwork { get; init; }

    /// <summary>Mount points that are left out.</summary>
    public ImmutableArray<string> SkippedMounts { get; init; } = [];

    /// <summary>File systems that are mounted again although nothing is known of them.</summary>
    public ImmutableArray<string> EnabledFileSystems { get; init; } = [];

    /// <summary>External mounts: key and value of the old way to name them.</summary>
    public ImmutableArray<KeyValuePair<string, string>> ExternalMounts { get; init; } = [];

    /// <summary>External mounts are found out.</summary>
    public bool AutoExternalMounts { get; init; }

    /// <summary>External mounts may be shared ones.</summary>
    public bool ExternalSharing { get; init; }

    /// <summary>External mounts may be slaves.</summary>
    public bool ExternalMasters { get; init; }

    /// <summary>Mounts are made in the way of old kernels.</summary>
    public bool MountCompatibility { get; init; }

    /// <summary>Names of virtual network devices, inside and outside.</summary>
    public ImmutableArray<KeyValuePair<string, string>> VethPairs { get; init; } = [];

    /// <summary>Settings that this kernel does not have are skipped.</summary>
    public bool WeakSysctls { get; init; }

    /// <summary>How cgroups are kept; null where nobody asked for it.</summary>
    public CgroupMode? Cgroups { get; init; }

    /// <summary>Roots of cgroups, as <c>controller:/path</c> or <c>/path</c>.</summary>
    public ImmutableArray<string> CgroupRoots { get; init; } = [];

    /// <summary>Which properties of cgroups are kept, as YAML.</summary>
    public string? CgroupProperties { get; init; }

    /// <summary>A file that says which properties of cgroups are kept.</summary>
    public string? CgroupPropertiesFile { get; init; }

    /// <summary>The only controllers that are dumped.</summary>
    public ImmutableArray<string> CgroupControllers { get; init; } = [];

    /// <summary>Where cgroups are mounted already.</summary>
    public string? CgroupYard { get; init; }

    /// <summary>The cgroup whose freezer stops the tree.</summary>
    public string? FreezeCgroup { get; init; }

    /// <summary>The label of a security module, as <c>module:label</c>.</summary>
    public string? LsmProfile { get; init; }

    /// <summary>The context of mounts.</summary>
    public string? LsmMountContext { get; init; }
}

/// <summary>How cgroups come back.</summary>
public enum CgroupMode { Ignore, None, Properties, Soft, Full, Strict }

/// <summary>A namespace that the tree joins.</summary>
/// <param name="Kind">net, ipc, uts, user, time or mnt.</param>
/// <param name="Target">A pid or the path of a namespace file.</param>
/// <param name="Extra">For user: <c>uid,gid</c>.</param>
public readonly record struct JoinedNamespace(string Kind, string Target, string? Extra);
