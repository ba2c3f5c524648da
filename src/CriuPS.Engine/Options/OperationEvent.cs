namespace CriuPS.Engine.Options;

/// <summary>How much an event matters; the numbers are those of <c>criu -v</c>.</summary>
public enum EventLevel
{
    /// <summary>Something failed.</summary>
    Error = 1,

    /// <summary>Something may surprise the user.</summary>
    Warning = 2,

    /// <summary>A stage began or ended.</summary>
    Information = 3,

    /// <summary>What was done to which object.</summary>
    Debug = 4,
}

/// <summary>The stages of a dump or a restore, in their order, as shown by progress displays.</summary>
public enum Stage
{
    Prepare, Freeze, Collect, Parasite, Cure, Files, Memory, Images, Finish,
    Validate, Birth, Layout, Content, State, Resume,
}

/// <summary>Something that an operation tells while it runs. Events are raised on the operation's own thread.</summary>
/// <param name="Level">How much it matters.</param>
/// <param name="Stage">The stage it belongs to.</param>
/// <param name="Message">One line of text.</param>
/// <param name="Done">Bytes or objects done so far in this stage; 0 where it is not counted.</param>
/// <param name="Total">Bytes or objects of this stage; 0 where it is not counted.</param>
public readonly record struct OperationEvent(EventLevel Level, Stage Stage, string Message, long Done = 0, long Total = 0);
