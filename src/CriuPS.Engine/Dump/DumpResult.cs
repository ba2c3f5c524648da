namespace CriuPS.Engine.Dump;

/// <summary>What a dump did.</summary>
public sealed record DumpResult
{
    /// <summary>The directory of the image set, absolute.</summary>
    public required string Path { get; init; }

    /// <summary>The root of the tree.</summary>
    public required int Id { get; init; }

    /// <summary>How many processes were saved.</summary>
    public required int Processes { get; init; }

    /// <summary>How many tasks (threads) were saved, all processes together.</summary>
    public required int Threads { get; init; }

    /// <summary>Memory pages written.</summary>
    public required long Pages { get; init; }

    /// <summary>Those of them that belong to shared memory.</summary>
    public required long SharedPages { get; init; }

    /// <summary>Descriptors of files that cannot be saved, which the restored processes do not have, or have /dev/null for; and why.</summary>
    public required IReadOnlyList<Errors.Refusal> ReplacedFiles { get; init; }

    /// <summary>Size of the whole image set in bytes.</summary>
    public required long Bytes { get; init; }

    /// <summary>How long it took to stop all tasks.</summary>
    public required TimeSpan StopTime { get; init; }

    /// <summary>How long it took to find the pages of memory.</summary>
    public required TimeSpan SearchTime { get; init; }

    /// <summary>How long it took to ask the tasks and to write their pages.</summary>
    public required TimeSpan WriteTime { get; init; }

    /// <summary>
    /// How long the tree could not run because of the dump: from the first task's stop until the tree was let go. Where it does not run on, until
    /// everything had been read from it: the wait for the disk is not part of it.
    /// </summary>
    public required TimeSpan FreezeTime { get; init; }

    /// <summary>How long the operation took.</summary>
    public required TimeSpan Duration { get; init; }

    /// <summary>What became of the tree.</summary>
    public required Options.FinalState FinalState { get; init; }
}
