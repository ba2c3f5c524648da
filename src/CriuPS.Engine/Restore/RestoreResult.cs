namespace CriuPS.Engine.Restore;

/// <summary>What a restore made.</summary>
public sealed record RestoreResult
{
    /// <summary>The pid of the restored root.</summary>
    public required int Id { get; init; }

    /// <summary>The directory of the image set, absolute.</summary>
    public required string Path { get; init; }

    /// <summary>How many processes live again.</summary>
    public required int Processes { get; init; }

    /// <summary>How many tasks (threads) live again, all processes together.</summary>
    public required int Threads { get; init; }

    /// <summary>Memory pages read.</summary>
    public required long Pages { get; init; }

    /// <summary>Pages that were compared with those of a parent.</summary>
    public required long PagesCompared { get; init; }

    /// <summary>Those of them that were equal, and stayed one page for both.</summary>
    public required long PagesInCommon { get; init; }

    /// <summary>How long it took until all processes were there, with their memory.</summary>
    public required TimeSpan BirthTime { get; init; }

    /// <summary>How long the operation took.</summary>
    public required TimeSpan Duration { get; init; }
}
