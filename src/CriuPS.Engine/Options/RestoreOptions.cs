namespace CriuPS.Engine.Options;

/// <summary>What a restore is asked to do. All faces of CriuPS fill this one type.</summary>
public sealed record RestoreOptions : CriuOptions
{
    /// <summary>The tree is left stopped, as by SIGSTOP.</summary>
    public bool LeaveStopped { get; init; }

    /// <summary>The root is no child of this process, which need not wait for it.</summary>
    public bool Detached { get; init; } = true;

    /// <summary>The root becomes a child of this process's parent. It is detached then.</summary>
    public bool Sibling { get; init; }

    /// <summary>
    /// A pipe whose other end belonged to a process outside of the tree comes back without that end, as CRIU has it, unless a descriptor takes its place.
    /// </summary>
    public bool PipesMayEndOutside { get; init; }
}
