using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Dump;

/// <summary>What <see cref="TaskStructs"/> told of the tasks of a tree, or that it told nothing.</summary>
internal sealed class KernelFacts
{
    private readonly IReadOnlyDictionary<int, TaskStructs.Facts>? _told;
    private readonly bool _nobodyHasKeyring;

    private KernelFacts(IReadOnlyDictionary<int, TaskStructs.Facts>? told, bool nobodyHasKeyring) =>
        (_told, _nobodyHasKeyring) = (told, nobodyHasKeyring);

    /// <summary>Asks about all tasks of a tree that stands still.</summary>
    /// <param name="prepared">The question, if it is put together already; it stays the caller's.</param>
    /// <param name="pids">The processes.</param>
    public static KernelFacts Ask(TaskStructs? prepared, IReadOnlyList<int> pids)
    {
        // Nobody has a session keyring where there are no more keys than those that everybody has.
        if (prepared is null && !ProcKeys.MayHaveSessions())
        {
            return new KernelFacts(null, nobodyHasKeyring: true);
        }

        using TaskStructs? late = prepared is null ? TaskStructs.TryPrepare() : null;
        return new KernelFacts((prepared ?? late)?.TryAsk(pids), nobodyHasKeyring: false);
    }

    /// <summary>What is known of a task; null for nothing.</summary>
    public TaskStructs.Facts? Of(int tid) => _told is { } told && told.TryGetValue(tid, out TaskStructs.Facts facts) ? facts : null;

    /// <summary>The number of a task's session keyring; 0 for none of its own, null where the kernel does not tell.</summary>
    public uint? SessionKeyringOf(int tid) => _nobodyHasKeyring ? 0 : Of(tid)?.SessionKeyring;

    /// <summary>Whether two tasks are known to act as the same.</summary>
    public bool HaveSameCredentials(int one, int other) => Of(one) is { } first && Of(other) is { } second && first.Credentials == second.Credentials;
}
