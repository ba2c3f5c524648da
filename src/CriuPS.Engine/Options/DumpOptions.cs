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
public sealed record DumpOptions : CriuOptions
{
    /// <summary>The root of the tree, in the caller's pid namespace.</summary>
    public required int Pid { get; init; }

    /// <summary>What becomes of the tree afterwards.</summary>
    public FinalState FinalState { get; init; } = FinalState.Kill;

    /// <summary>Overwrite an image set that is already in the directory.</summary>
    public bool Force { get; init; }

    /// <summary>
    /// A pipe may have its other end outside of the tree. CRIU takes all such pipes; a restore needs another descriptor in their place, or to be told
    /// that they may be without that end.
    /// </summary>
    public bool PipesMayEndOutside { get; init; }

    /// <summary>
    /// The inode of the socket over which a process of the tree asked for this dump; 0 for none. It is saved as such: after a restore its holder
    /// reads from it that it was restored.
    /// </summary>
    public uint ServiceSocket { get; init; }
}
