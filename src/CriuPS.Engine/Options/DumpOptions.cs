namespace CriuPS.Engine.Options;

/// <summary>What becomes of the tree after a successful dump.</summary>
public enum FinalState
{
    /// <summary>It is killed: the image set is what is left of it.</summary>
    Kill,

    /// <summary>It runs on.</summary>
    Run,

    /// <summary>It is left stopped, as by SIGSTOP.</summary>
    Stop,
}

/// <summary>What a dump is asked to do. All faces of CriuPS fill this one type.</summary>
public sealed record DumpOptions
{
    /// <summary>The root of the tree, in the caller's pid namespace.</summary>
    public required int Pid { get; init; }

    /// <summary>Where the image files go; made if it does not exist.</summary>
    public required string ImagesDirectory { get; init; }

    /// <summary>What becomes of the tree afterwards.</summary>
    public FinalState FinalState { get; init; } = FinalState.Kill;

    /// <summary>The root may belong to a session and a terminal outside of the tree.</summary>
    public bool ShellJob { get; init; }

    /// <summary>Overwrite an image set that is already in the directory.</summary>
    public bool Force { get; init; }

    /// <summary>How long the freezing of the tree may take.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(10);
}
