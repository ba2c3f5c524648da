using System.Management.Automation;
using CriuPS.Engine.Errors;

namespace CriuPS.Commands;

/// <summary>The engine's failures as PowerShell shows them.</summary>
internal static class CriuErrorRecord
{
    /// <summary>
    /// Makes the record: the failure's identifier, a real category, the object it happened to, and in RecommendedAction what would
    /// help. A refusal is one record for all its reasons, as the exception is, so that -ErrorAction Stop and catch see all of them
    /// at once; its target is the list of reasons.
    /// </summary>
    /// <param name="exception">The failure.</param>
    /// <param name="target">The input that was being worked on, for failures that name no object.</param>
    public static ErrorRecord From(CriuException exception, object? target)
    {
        var record = new ErrorRecord(exception, exception.Id, CategoryOf(exception.Kind), TargetOf(exception, target))
        {
            ErrorDetails = new ErrorDetails(TextOf(exception)),
        };
        if (RemedyOf(exception) is { } remedy)
        {
            record.ErrorDetails.RecommendedAction = remedy;
        }

        return record;
    }

    private static ErrorCategory CategoryOf(CriuErrorKind kind) => kind switch
    {
        CriuErrorKind.BadOption => ErrorCategory.InvalidArgument,
        CriuErrorKind.PermissionDenied => ErrorCategory.PermissionDenied,
        CriuErrorKind.NotFound => ErrorCategory.ObjectNotFound,
        CriuErrorKind.AlreadyExists => ErrorCategory.ResourceExists,
        CriuErrorKind.InvalidData => ErrorCategory.InvalidData,
        CriuErrorKind.NotSupported => ErrorCategory.NotImplemented,
        CriuErrorKind.Busy => ErrorCategory.ResourceBusy,
        CriuErrorKind.Timeout => ErrorCategory.OperationTimeout,
        _ => ErrorCategory.InvalidOperation,
    };

    private static object? TargetOf(CriuException exception, object? target) => exception switch
    {
        RefusedException refused => refused.Refusals,
        FilesChangedException changed => changed.Mismatches,
        { Subject: { } subject } => subject,
        _ => target ?? exception.Pid,
    };

    private static string TextOf(CriuException exception) => exception switch
    {
        RefusedException refused => Lines(refused.Refusals.Select(one => $"process {one.Pid} ({one.ProcessName}): {one.Subject}: {one.Reason}")),
        FilesChangedException changed => Lines(changed.Mismatches.Select(one => $"process {one.Pid}: {one.User}: {one.Reason}")),
        _ => exception.Message,
    };

    private static string? RemedyOf(CriuException exception) => exception switch
    {
        RefusedException refused => Lines(refused.Refusals.Select(one => one.Remedy).Distinct()),
        FilesChangedException changed => Lines(changed.Mismatches.Select(one => one.Remedy).Distinct()),
        _ => exception.Remedy,
    };

    private static string Lines(IEnumerable<string> lines) => string.Join("\n", lines);
}
