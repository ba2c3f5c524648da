using System.Diagnostics;
using CriuPS.Engine.Check;
using CriuPS.Engine.Compel;
using CriuPS.Engine.Compel.X64;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Images;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Options;

namespace CriuPS.Engine.Restore;

/// <summary>One restore of one image set: an object that can be run once, cancelled, and that undoes itself when it fails.</summary>
/// <param name="options">What to do.</param>
/// <param name="events">Told what happens, on the operation's thread; may be null.</param>
public sealed class RestoreOperation(RestoreOptions options, Action<OperationEvent>? events = null)
{
    private const int StoppedState = 3;

    /// <summary>Restores the tree and detaches from it.</summary>
    /// <exception cref="CriuException">It failed; nothing that was started is left.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled; nothing that was started is left.</exception>
    public RestoreResult Run(CancellationToken cancellation = default) => OperationThread.Run(
        "criups restore", () => Requirements.Explain(() => Restore(cancellation)));

    private RestoreResult Restore(CancellationToken cancellation)
    {
        long start = Stopwatch.GetTimestamp();
        OptionRules.Validate(options);
        Tell(Stage.Validate, $"reading {options.ImagesDirectory}");
        using ImageSet images = ImageSet.Open(options.ImagesDirectory);
        using SavedProcess saved = SavedProcess.Load(images, cancellation);
        CheckSession(saved);
        Tracer tracer = new(new X64Architecture(), TimeSpan.FromSeconds(30), cancellation);
        options.Hooks?.Reach(HookPoint.PreRestore, null);
        Tell(Stage.Birth, $"making process {saved.Pid}");
        Tracee leader = new Birth(tracer).Root(saved.Pid, options);
        try
        {
            using ProcessRestore restore = new(tracer, saved, leader, Tell);
            restore.Prepare();
            saved.Opening.SharedMemory.Seal();

            // From here on only the process holds its files: the end of a pipe that we kept open would keep its reader waiting.
            saved.Opening.Dispose();
            options.Hooks?.Reach(HookPoint.PostRestore, saved.Pid);
            cancellation.ThrowIfCancellationRequested();
            Tell(Stage.Resume, "letting it go");
            restore.Complete();
            if (options.LeaveStopped || saved.LeaderCore.Tc.TaskState == StoppedState)
            {
                int signal = saved.LeaderCore.Tc.HasStopSigno ? (int)saved.LeaderCore.Tc.StopSigno : Signals.SIGSTOP;
                Signals.Kill(saved.Pid, signal);
            }

            TellHooks(HookPoint.PreResume, saved.Pid);
            foreach (Tracee task in restore.Tasks)
            {
                task.Detach();
            }

            TellHooks(HookPoint.PostResume, saved.Pid);
            return new RestoreResult
            {
                Id = saved.Pid, Path = images.Path, Processes = 1, Threads = saved.Cores.Count, Pages = restore.Pages + saved.Opening.SharedMemory.Pages,
                Duration = Stopwatch.GetElapsedTime(start),
            };
        }
        catch
        {
            Kill(tracer, leader);
            throw;
        }
    }

    // The tree is complete: who disagrees now comes too late.
    private void TellHooks(HookPoint point, int pid)
    {
        try
        {
            options.Hooks?.Reach(point, pid);
        }
        catch (CriuException e)
        {
            events?.Invoke(new OperationEvent(EventLevel.Error, Stage.Resume, e.Message));
        }
    }

    // Nothing half-made may live; its tracer hears of its end before anybody else.
    private static void Kill(Tracer tracer, Tracee leader)
    {
        Syscall.Invoke(SyscallNumber.kill, leader.Pid, Signals.SIGKILL);
        tracer.AwaitEndOfAll(TimeSpan.FromSeconds(30));
    }

    private void CheckSession(SavedProcess saved)
    {
        if (saved.Tree.Sid != saved.Tree.Pid && !options.ShellJob)
        {
            throw new CriuException(
                "ShellJobNeeded", CriuErrorKind.BadOption, $"process {saved.Pid} belonged to session {saved.Tree.Sid}, which is not in the image set")
            {
                Pid = saved.Pid, Remedy = "use -ShellJob to let it join the session of the caller",
            };
        }
    }

    private void Tell(Stage stage, string message) => events?.Invoke(new OperationEvent(EventLevel.Information, stage, message));
}
