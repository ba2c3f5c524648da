using System.Runtime.InteropServices;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Compel;

/// <summary>
/// Keeps .NET from asking after its children while one lives, and lets it make up for it afterwards. Needed where a tracee is also a child of ours: a tracee's
/// stop is given to whichever thread of the tracer's process asks waitpid(2) (kernel/exit.c, wait_consider_task), and .NET takes it for the end.
/// </summary>
internal sealed class ChildSignal : IDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(1);

    private readonly KernelSigAction _handled = Signals.SetAction(Signals.SIGCHLD, default);

    private ChildSignal()
    {
    }

    /// <summary>
    /// Gives SIGCHLD its default action, and returns when signals that came before are handled: .NET does it in a thread of its own, one after the other,
    /// so that the next signal, of a kind that nobody heeds, is told after them.
    /// </summary>
    public static ChildSignal Silence()
    {
        ChildSignal silence = new();
        using ManualResetEventSlim told = new();
        using PosixSignalRegistration next = PosixSignalRegistration.Create((PosixSignal)Signals.SIGURG, _ => told.Set());
        Send(Signals.SIGURG);
        told.Wait(s_patience);
        return silence;
    }

    /// <summary>Puts the handler back and sends it one signal for all that it may have missed.</summary>
    public void Dispose()
    {
        Signals.SetAction(Signals.SIGCHLD, _handled);
        Send(Signals.SIGCHLD);
    }

    private static void Send(int signal) => Signals.Kill(Environment.ProcessId, signal);
}
