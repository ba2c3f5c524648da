using CriuPS.Engine.Options;

namespace CriuPS.Engine.Dump;

/// <summary>One dump of one process tree: an object that can be run once, cancelled, and that undoes itself when it fails.</summary>
/// <param name="options">What to do.</param>
/// <param name="events">Told what happens, on the operation's thread; may be null.</param>
public sealed class DumpOperation(DumpOptions options, Action<OperationEvent>? events = null)
{
    /// <summary>Lists everything in the tree that stops a dump, without touching it.</summary>
    public IReadOnlyList<Errors.Refusal> Preflight(CancellationToken cancellation = default) =>
        throw new NotImplementedException($"{options} {events} {cancellation}");

    /// <summary>Dumps the tree. On any failure or cancellation the tree runs on and no partial image set is left.</summary>
    /// <exception cref="Errors.CriuException">It failed; everything was undone.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled; everything was undone.</exception>
    public DumpResult Run(CancellationToken cancellation = default) => throw new NotImplementedException($"{options} {events} {cancellation}");
}
