using System.Collections.Immutable;

namespace CriuPS.Engine.Options;

/// <summary>What belongs to the program around an operation: logs, notes for other programs, the service.</summary>
public partial record CriuOptions
{
    /// <summary>Where the log goes: a file in the work directory, <c>-</c> for the standard output, null for the standard error.</summary>
    public string? LogFile { get; init; }

    /// <summary>The least important event that is logged; 0 logs nothing.</summary>
    public int LogLevel { get; init; } = (int)EventLevel.Warning;

    /// <summary>Each process gets a log of its own.</summary>
    public bool LogPerProcess { get; init; }

    /// <summary>Statistics are shown at the end.</summary>
    public bool DisplayStatistics { get; init; }

    /// <summary>Where the pid of the root, or of a server, is written.</summary>
    public string? PidFile { get; init; }

    /// <summary>Programs that are run at the stages of an operation.</summary>
    public ImmutableArray<string> ActionScripts { get; init; } = [];

    /// <summary>After the restore this process becomes another program, the parent of the tree.</summary>
    public bool ExecuteCommand { get; init; }

    /// <summary>A server goes into the background.</summary>
    public bool Daemon { get; init; }

    /// <summary>Told by a byte that a server is ready; null for nobody.</summary>
    public int? StatusDescriptor { get; init; }

    /// <summary>Descriptors that are closed first of all.</summary>
    public ImmutableArray<int> ClosedDescriptors { get; init; } = [];

    /// <summary>Features that a check looks at; empty for all that are needed.</summary>
    public ImmutableArray<string> Features { get; init; } = [];

    /// <summary>A check looks at features that some dumps need.</summary>
    public bool CheckExtra { get; init; }

    /// <summary>A check looks at features that are not settled.</summary>
    public bool CheckExperimental { get; init; }
}
