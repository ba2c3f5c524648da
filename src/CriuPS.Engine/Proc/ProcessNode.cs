namespace CriuPS.Engine.Proc;

/// <summary>What a process is doing (the state letter of proc_pid_stat(5)).</summary>
public enum ProcessState
{
    /// <summary>A letter that is not known.</summary>
    Unknown,

    /// <summary>R: it runs, or could.</summary>
    Running,

    /// <summary>S: it waits, and a signal wakes it.</summary>
    Sleeping,

    /// <summary>D: it waits in the kernel, and no signal wakes it.</summary>
    DiskSleep,

    /// <summary>T: a signal has stopped it.</summary>
    Stopped,

    /// <summary>t: its tracer has stopped it.</summary>
    Traced,

    /// <summary>Z: it has ended and its parent has not asked for its status yet.</summary>
    Zombie,

    /// <summary>X: it is being removed.</summary>
    Dead,

    /// <summary>I: a kernel thread without work.</summary>
    Idle,
}

/// <summary>One process of a <see cref="ProcessTree"/>, as it was when it was read.</summary>
public sealed record ProcessNode
{
    private const int IndentWidth = 2;

    /// <summary>Its pid, in the reader's pid namespace as all pids here.</summary>
    public required int Id { get; init; }

    /// <summary>Its parent's pid; 0 if that is outside the reader's pid namespace.</summary>
    public required int ParentId { get; init; }

    /// <summary>How many steps below the root that it was listed under.</summary>
    public required int Depth { get; init; }

    /// <summary>Its name; it may hold any characters.</summary>
    public required string Name { get; init; }

    /// <summary>Its arguments in one line, quoted where needed, control characters escaped; empty for kernel threads.</summary>
    public required string CommandLine { get; init; }

    /// <summary>Its arguments one by one, as they are.</summary>
    public required IReadOnlyList<string> Arguments { get; init; }

    public required ProcessState State { get; init; }

    public required int SessionId { get; init; }

    public required int ProcessGroupId { get; init; }

    /// <summary>How many tasks it has.</summary>
    public required int Threads { get; init; }

    /// <summary>Resident memory in bytes; inexact by some pages for each thread.</summary>
    public required long Resident { get; init; }

    /// <summary>Size of all mappings in bytes.</summary>
    public required long VirtualSize { get; init; }

    /// <summary>Effective user id.</summary>
    public required uint UserId { get; init; }

    /// <summary>Effective group id.</summary>
    public required uint GroupId { get; init; }

    /// <summary>When it was started, local time, as exact as the moment of boot is known: to a second.</summary>
    public required DateTime StartTime { get; init; }

    /// <summary>Time on processors, in user mode and in the kernel.</summary>
    public required TimeSpan ProcessorTime { get; init; }

    /// <summary>Who traces it, 0 for nobody.</summary>
    public required int TracerId { get; init; }

    /// <summary>The tasks' numbers; null unless details were asked for.</summary>
    public IReadOnlyList<int>? ThreadIds { get; init; }

    /// <summary>Path of the executable; null unless details were asked for and may be read.</summary>
    public string? Executable { get; init; }

    /// <summary>The working directory; null unless details were asked for and may be read.</summary>
    public string? WorkingDirectory { get; init; }

    /// <summary>Its mappings by ascending address; null unless details were asked for and may be read.</summary>
    public IReadOnlyList<ProcessMapping>? Mappings { get; init; }

    /// <summary>Its open descriptors by ascending number; null unless details were asked for and may be read.</summary>
    public IReadOnlyList<ProcessDescriptor>? Descriptors { get; init; }

    /// <summary>Whether details were asked for that only its own user, or a privileged one, may read.</summary>
    public bool DetailsDenied { get; init; }

    /// <summary>Its name, control characters escaped, moved to the right by its depth: for tables.</summary>
    public string IndentedName => new string(' ', Depth * IndentWidth) + new OsText(Name).ToDisplayString();

    /// <inheritdoc/>
    public override string ToString() => $"{Id} ({new OsText(Name).ToDisplayString()})";
}
