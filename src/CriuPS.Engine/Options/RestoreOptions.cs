namespace CriuPS.Engine.Options;

/// <summary>What a restore is asked to do. All faces of CriuPS fill this one type.</summary>
public sealed record RestoreOptions
{
    /// <summary>The directory of the image set.</summary>
    public required string ImagesDirectory { get; init; }

    /// <summary>The root may join the session and the terminal of the caller.</summary>
    public bool ShellJob { get; init; }

    /// <summary>The tree is left stopped, as by SIGSTOP.</summary>
    public bool LeaveStopped { get; init; }

    /// <summary>The root becomes a child of the caller's parent instead of init's.</summary>
    public bool Sibling { get; init; }
}
