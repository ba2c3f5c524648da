using CriuPS.Engine.Errors;

namespace CriuPS.Engine.Options;

/// <summary>A moment of an operation at which others are asked, or told.</summary>
public enum HookPoint
{
    PreStream, PreDump, PostDump, PreRestore, PostRestore, NetworkLock, NetworkUnlock, SetupNamespaces, PostSetupNamespaces,
    PreResume, PostResume, StatusReady,
}

/// <summary>
/// Who is asked at the stages of an operation: action scripts, or the client of the service. Called on the operation's thread; meanwhile
/// the operation stands still.
/// </summary>
public interface IOperationHooks
{
    /// <summary>Called at a stage. Returning agrees.</summary>
    /// <param name="point">The stage.</param>
    /// <param name="pid">The root of the tree, where it exists.</param>
    /// <exception cref="CriuException">
    /// It disagrees: the operation fails and undoes itself. At <see cref="HookPoint.PreResume"/> and <see cref="HookPoint.PostResume"/> it
    /// is too late for that; there the disagreement only becomes an event.
    /// </exception>
    void Reach(HookPoint point, int? pid);
}

/// <summary>The names of the stages.</summary>
public static class HookPoints
{
    /// <summary>The name that scripts and clients know a stage by.</summary>
    public static string NameOf(HookPoint point) => point switch
    {
        HookPoint.PreStream => "pre-stream",
        HookPoint.PreDump => "pre-dump",
        HookPoint.PostDump => "post-dump",
        HookPoint.PreRestore => "pre-restore",
        HookPoint.PostRestore => "post-restore",
        HookPoint.NetworkLock => "network-lock",
        HookPoint.NetworkUnlock => "network-unlock",
        HookPoint.SetupNamespaces => "setup-namespaces",
        HookPoint.PostSetupNamespaces => "post-setup-namespaces",
        HookPoint.PreResume => "pre-resume",
        HookPoint.PostResume => "post-resume",
        HookPoint.StatusReady => "status-ready",
        _ => throw new ArgumentOutOfRangeException(nameof(point)),
    };
}
