using System.Collections.Immutable;

namespace CriuPS.Engine.Options;

/// <summary>Open files, sockets and what stays outside of the image set.</summary>
public partial record CriuOptions
{
    /// <summary>Locks of files are kept.</summary>
    public bool FileLocks { get; init; }

    /// <summary>Files whose name is gone may be given one again.</summary>
    public bool LinkRemap { get; init; }

    /// <summary>A device may be opened by another path.</summary>
    public bool EvasiveDevices { get; init; }

    /// <summary>The value of <see cref="GhostLimit"/> where nothing is said.</summary>
    public const long DefaultGhostLimit = 1 << 20;

    /// <summary>The largest deleted file, in bytes, that is put into the image set.</summary>
    public long GhostLimit { get; init; } = DefaultGhostLimit;

    /// <summary>Holes of deleted files are found by FIEMAP.</summary>
    public bool GhostFiemap { get; init; }

    /// <summary>How a file is known again.</summary>
    public FileValidation FileValidation { get; init; } = FileValidation.BuildId;

    /// <summary>The permissions of a file may have changed.</summary>
    public bool SkipFileModeCheck { get; init; }

    /// <summary>What a dump does with open files that it cannot save.</summary>
    public UnsupportedFiles UnsupportedFiles { get; init; } = UnsupportedFiles.Fail;

    /// <summary>Regular files whose content a dump puts into the set, by patterns of paths as in <see cref="FilePolicy"/>.</summary>
    public ImmutableArray<string> IncludedContent { get; init; } = [];

    /// <summary>What a restore does with files that have changed; <see cref="ChangedFile.Strict"/> for all that no pattern fits.</summary>
    public ImmutableArray<FilePolicy> FilePolicies { get; init; } = [];

    /// <summary>Where files are now; of several that fit, the longest one counts.</summary>
    public ImmutableArray<MovedPath> MovedPaths { get; init; } = [];

    /// <summary>Paths of watched files are looked for at once.</summary>
    public bool ForceIrmap { get; init; }

    /// <summary>Where paths of watched files are looked for.</summary>
    public ImmutableArray<string> IrmapScanPaths { get; init; } = [];

    /// <summary>Resources that are not saved, as <c>kind[id]:name</c>.</summary>
    public ImmutableArray<string> External { get; init; } = [];

    /// <summary>Descriptors of ours that take the place of saved ones.</summary>
    public ImmutableArray<InheritedDescriptor> InheritedDescriptors { get; init; } = [];

    /// <summary>Unix sockets may be connected with processes outside of the tree.</summary>
    public bool ExternalUnixSockets { get; init; }

    /// <summary>The inodes of such sockets.</summary>
    public ImmutableArray<uint> ExternalUnixSocketInodes { get; init; } = [];

    /// <summary>TCP connections are kept.</summary>
    public bool TcpEstablished { get; init; }

    /// <summary>TCP connections are closed.</summary>
    public bool TcpClose { get; init; }

    /// <summary>Connections that nobody has accepted yet are dropped.</summary>
    public bool TcpSkipInFlight { get; init; }

    /// <summary>How the network is held while connections are saved; null for the default.</summary>
    public NetworkLock? NetworkLock { get; init; }
}

/// <summary>How a file is known again at a restore.</summary>
public enum FileValidation
{
    /// <summary>By its size.</summary>
    FileSize,

    /// <summary>By its size, and by the build id of a program or library.</summary>
    BuildId,
}

/// <summary>What holds the network.</summary>
public enum NetworkLock { IpTables, NfTables, Skip }

/// <summary>A descriptor of ours that takes the place of a saved one.</summary>
/// <param name="Descriptor">Its number in this process.</param>
/// <param name="Resource">What it replaces: a path, <c>pipe:[inode]</c>, <c>socket:[inode]</c>, <c>file[mount:inode]</c> or a name.</param>
public readonly record struct InheritedDescriptor(int Descriptor, string Resource);
