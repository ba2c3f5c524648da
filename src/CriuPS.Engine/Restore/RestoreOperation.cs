using System.Diagnostics;
using CriuPS.Engine.Check;
using CriuPS.Engine.Compel;
using CriuPS.Engine.Compel.X64;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Images;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects.Files;
using CriuPS.Engine.Options;
using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Restore;

/// <summary>One restore of one image set: an object that can be run once, cancelled, and that undoes itself when it fails.</summary>
/// <param name="options">What to do.</param>
/// <param name="events">Told what happens, on the operation's thread; may be null.</param>
public sealed class RestoreOperation(RestoreOptions options, Action<OperationEvent>? events = null)
{
    private const uint AlwaysAllowed = 64;

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
        if (options.CpuCapabilities.HasFlag(CpuCapabilities.Image))
        {
            ProcessorImage.Validate(images, options.CpuCapabilities);
        }

        FileChoices choices = new(options);
        choices.Inherited.Validate();
        using SavedTree saved = SavedTree.Load(images, choices, cancellation);
        CheckSession(saved);
        CheckDescriptorLimit(saved);
        Warn(saved.Files.Opening);
        Tracer tracer = new(new X64Architecture(), TimeSpan.FromSeconds(30), cancellation);
        options.Hooks?.Reach(HookPoint.PreRestore, null);
        int root = saved.Root.Pid;
        Tell(Stage.Birth, $"making process {root}");
        try
        {
            saved.Files.Opening.Contents.Write();
            saved.FileOpening.BeginAhead();
            Tracee newborn = new Birth(tracer).Root(saved, options);
            using TreeRestore restore = new(tracer, saved, newborn, Tell);
            restore.Prepare();
            options.Hooks?.Reach(HookPoint.PostRestore, root);
            cancellation.ThrowIfCancellationRequested();
            Tell(Stage.Resume, "letting it go");
            restore.Complete();
            RemoveLinks(saved.Files.Opening);
            TellHooks(HookPoint.PreResume, root);
            restore.Release(options.LeaveStopped);
            TellHooks(HookPoint.PostResume, root);
            return new RestoreResult
            {
                Id = root, Path = images.Path, Processes = saved.Count, Threads = saved.Threads, Pages = restore.Pages,
                PagesCompared = restore.PagesCompared, PagesInCommon = restore.PagesInCommon, BirthTime = Stopwatch.GetElapsedTime(start, restore.BornAt),
                Duration = Stopwatch.GetElapsedTime(start),
            };
        }
        catch
        {
            Kill(tracer, saved);
            saved.Files.Opening.Contents.TakeBack();
            saved.Files.Opening.Sockets.TakeBack();
            throw;
        }
    }

    // The tree is complete, and would not be better off dead for a name that is left over.
    private void RemoveLinks(FileOpening files)
    {
        foreach (KernelException left in (KernelException[])[.. files.Remaps.RemoveLinks(), .. files.Contents.Keep()])
        {
            events?.Invoke(new OperationEvent(EventLevel.Error, Stage.Resume, left.Message));
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

    // Nothing half-made may live; its tracer hears of its end before anybody else. A number may be a stranger's: only tracees of ours are meant.
    private static void Kill(Tracer tracer, SavedTree saved)
    {
        foreach (int pid in saved.Numbers.Where(tracer.Holds))
        {
            Syscall.Invoke(SyscallNumber.kill, pid, Signals.SIGKILL);
        }

        tracer.AwaitEndOfAll(TimeSpan.FromSeconds(30));
    }

    private void Warn(FileOpening opening)
    {
        IEnumerable<string> unused = opening.Inherited.Unused.Select(given => $"no file of the set is {given.Resource}: fd {given.Descriptor} is not used");
        IEnumerable<string> cut = opening.CutPipes.Select(
            id => $"pipe:[{id}] comes back without its other end, which was outside of the tree; -InheritFd fd[N]:pipe:[{id}] would give it one");
        foreach (string message in unused.Concat(cut))
        {
            events?.Invoke(new OperationEvent(EventLevel.Warning, Stage.Validate, message));
        }
    }

    private void CheckSession(SavedTree saved)
    {
        if (!saved.Root.IsSessionLeader && !options.ShellJob)
        {
            throw new CriuException(
                "ShellJobNeeded", CriuErrorKind.BadOption, $"process {saved.Root.Pid} belonged to session {saved.Root.Session}, which is not in the image set")
            {
                Pid = saved.Root.Pid, Remedy = "use -ShellJob to let it join the session of the caller",
            };
        }
    }

    // A newborn has our limit, and gets its own one only when it has its descriptors.
    private static void CheckDescriptorLimit(SavedTree saved)
    {
        SavedProcess? highest = saved.Processes.Where(p => p.Descriptors.Count > 0).MaxBy(p => p.Descriptors[^1].Fd);
        if (highest is not { Descriptors: [.., { Fd: >= AlwaysAllowed } last] })
        {
            return;
        }

        using ProcDirectory self = new(Environment.ProcessId);
        ulong limit = ProcLimits.Read(self).First(l => l.Kind == ResourceKind.OpenFiles).Soft;
        if (last.Fd >= limit)
        {
            throw new CriuException(
                "DescriptorLimit", CriuErrorKind.PermissionDenied,
                $"process {highest.Pid} had descriptor {last.Fd}, but no more than {limit} are allowed here (RLIMIT_NOFILE)")
            {
                Pid = highest.Pid, Subject = $"fd {last.Fd}", Remedy = "raise the limit of open files (ulimit -n)",
            };
        }
    }

    private void Tell(Stage stage, string message) => Tell(EventLevel.Information, stage, message);

    private void Tell(EventLevel level, Stage stage, string message) => events?.Invoke(new OperationEvent(level, stage, message));
}
