namespace CriuPS.Engine.Options;

/// <summary>
/// Everything that CRIU can be asked for, with CRIU's defaults: what all commands share. Cmdlets, command line and RPC service fill this
/// one type and its descendants, by hand or from named options (<see cref="OptionTable"/>), so that defaults, validation and messages are
/// the same.
/// </summary>
public partial record CriuOptions
{
    /// <summary>Where the image files are.</summary>
    public string ImagesDirectory { get; init; } = ".";

    /// <summary>Where logs, pid files and statistics go; null is the images directory.</summary>
    public string? WorkDirectory { get; init; }

    /// <summary>The root may belong to a session and a terminal outside of the tree.</summary>
    public bool ShellJob { get; init; }

    /// <summary>How long the freezing of the tree may take; zero is as long as it wants.</summary>
    public TimeSpan Timeout { get => _timeout; init => _timeout = value == TimeSpan.Zero ? TimeSpan.MaxValue : value; }

    /// <summary>The value of <see cref="Timeout"/> where nothing is said.</summary>
    public static TimeSpan DefaultTimeout { get; } = TimeSpan.FromSeconds(10);

    private readonly TimeSpan _timeout = DefaultTimeout;

    /// <summary>Asked at the stages of the operation; null for nobody.</summary>
    public IOperationHooks? Hooks { get; init; }

    /// <summary>Which parts of the processor's description are saved and compared.</summary>
    public CpuCapabilities CpuCapabilities { get; init; } = CpuCapabilities.Default;

    /// <summary>Limitations for a user without all privileges are accepted.</summary>
    public bool Unprivileged { get; init; }

    /// <summary>Images go through criu-image-streamer.</summary>
    public bool Stream { get; init; }

    /// <summary>Where plugins are; null for the default directory.</summary>
    public string? PluginDirectory { get; init; }

    /// <summary>What CRIU no longer recommends is allowed.</summary>
    public bool Deprecated { get; init; }
}

/// <summary>Parts of the processor's description; the numbers are those of RPC requests.</summary>
[Flags]
public enum CpuCapabilities : uint
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>The state that tasks have in registers.</summary>
    Fpu = 1,

    /// <summary>The very same processor.</summary>
    Cpu = 2,

    /// <summary>The instructions.</summary>
    Instructions = 4,

    /// <summary>They are written to an image, and read from there.</summary>
    Image = 8,

    /// <summary>What is compared unless something else is asked for.</summary>
    Default = Fpu | Instructions,

    /// <summary>Everything that can be compared.</summary>
    All = Fpu | Cpu | Instructions,
}
