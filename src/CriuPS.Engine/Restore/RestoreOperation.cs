using CriuPS.Engine.Options;

namespace CriuPS.Engine.Restore;

/// <summary>One restore of one image set: an object that can be run once, cancelled, and that undoes itself when it fails.</summary>
/// <param name="options">What to do.</param>
/// <param name="events">Told what happens, on the operation's thread; may be null.</param>
public sealed class RestoreOperation(RestoreOptions options, Action<OperationEvent>? events = null)
{
    /// <summary>Restores the tree and detaches from it.</summary>
    /// <exception cref="Errors.CriuException">It failed; nothing that was started is left.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled; nothing that was started is left.</exception>
    public RestoreResult Run(CancellationToken cancellation = default) => throw new NotImplementedException($"{options} {events} {cancellation}");
}
