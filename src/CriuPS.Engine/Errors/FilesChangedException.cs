namespace CriuPS.Engine.Errors;

/// <summary>A file that a restored process needs and that is not there as it was at the dump.</summary>
/// <param name="Pid">The first process that needs it.</param>
/// <param name="User">What of the process needs it, e.g. <c>fd 7</c>.</param>
/// <param name="Subject">The file, as a user would name it.</param>
/// <param name="Reason">What is wrong with it.</param>
/// <param name="Remedy">What would help.</param>
public sealed record FileMismatch(int Pid, string User, string Subject, string Reason, string Remedy)
{
    /// <inheritdoc/>
    public override string ToString() => $"process {Pid}: {User}: {Reason}; {Remedy}";
}

/// <summary>Files cannot be had as they were at the dump; all of them are listed.</summary>
public sealed class FilesChangedException : CriuException
{
    /// <param name="mismatches">Every file, at least one.</param>
    public FilesChangedException(IReadOnlyList<FileMismatch> mismatches)
        : base("FilesChanged", CriuErrorKind.InvalidData, $"{mismatches.Count} files cannot be had as they were at the dump: {string.Join(" | ", mismatches)}")
    {
        Mismatches = mismatches.ToArray();
        Pid = mismatches[0].Pid;
        Subject = mismatches[0].Subject;
        Remedy = mismatches[0].Remedy;
    }

    /// <summary>Every file, in the order in which they were found.</summary>
    public IReadOnlyList<FileMismatch> Mismatches { get; }
}
