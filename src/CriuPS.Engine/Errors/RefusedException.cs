namespace CriuPS.Engine.Errors;

/// <summary>One reason why a process tree cannot be dumped, found before anything was touched.</summary>
/// <param name="Pid">The process that holds the object.</param>
/// <param name="ProcessName">Its name.</param>
/// <param name="Subject">The object, as a user would name it, e.g. <c>fd 7 -> socket:[41]</c>.</param>
/// <param name="Reason">Why it stops the dump.</param>
/// <param name="Remedy">What would help.</param>
public sealed record Refusal(int Pid, string ProcessName, string Subject, string Reason, string Remedy)
{
    /// <inheritdoc/>
    public override string ToString() => $"process {Pid} ({ProcessName}): {Subject}: {Reason}; {Remedy}";
}

/// <summary>The tree holds objects that cannot be dumped; all of them are listed.</summary>
public sealed class RefusedException : CriuException
{
    /// <param name="refusals">Every reason, at least one.</param>
    public RefusedException(IReadOnlyList<Refusal> refusals)
        : base("Refused", CriuErrorKind.NotSupported, Describe(refusals))
    {
        Refusals = refusals.ToArray();
        Pid = refusals[0].Pid;
        Subject = refusals[0].Subject;
        Remedy = refusals[0].Remedy;
    }

    /// <summary>Every reason, in the order in which they were found.</summary>
    public IReadOnlyList<Refusal> Refusals { get; }

    private static string Describe(IReadOnlyList<Refusal> refusals) =>
        refusals.Count == 1 ? refusals[0].ToString() : $"{refusals.Count} objects cannot be dumped: " + string.Join(" | ", refusals);
}
