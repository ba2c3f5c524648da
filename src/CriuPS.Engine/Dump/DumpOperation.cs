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

namespace CriuPS.Engine.Dump;

/// <summary>One dump of one process tree: an object that can be run once, cancelled, and that undoes itself when it fails.</summary>
/// <param name="options">What to do.</param>
/// <param name="events">Told what happens, on the operation's thread; may be null.</param>
public sealed class DumpOperation(DumpOptions options, Action<OperationEvent>? events = null)
{
    // While a process is dumped we hold its directory, itself, its pages and its socket.
    private const int DescriptorsOfEach = 4;

    /// <summary>Lists everything in the tree that stops a dump, without touching it.</summary>
    /// <exception cref="CriuException">The process does not exist or cannot be looked at.</exception>
    public IReadOnlyList<Refusal> Preflight(CancellationToken cancellation = default)
    {
        cancellation.ThrowIfCancellationRequested();
        OptionRules.Validate(options);
        return TreeInspection.LookAtRunning(options);
    }

    /// <summary>Dumps the tree. On any failure or cancellation the tree runs on and no partial image set is left.</summary>
    /// <exception cref="CriuException">It failed; everything was undone.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled; everything was undone.</exception>
    public DumpResult Run(CancellationToken cancellation = default) => OperationThread.Run(
        "criups dump", () => Requirements.Explain(() => Dump(cancellation)));

    private DumpResult Dump(CancellationToken cancellation)
    {
        long start = Stopwatch.GetTimestamp();
        OptionRules.Validate(options);
        using KernelQuestions questions = new(options.Pid);
        options.Hooks?.Reach(HookPoint.PreDump, options.Pid);
        cancellation.ThrowIfCancellationRequested();
        TreeInspection glance = TreeInspection.Glance(options);
        questions.ExpectFiles(glance.LargestTable);
        DescriptorTable.Expect(glance.Processes.Count * DescriptorsOfEach);
        if (glance.IsDoubtful && TreeInspection.LookAtRunning(options) is { Count: > 0 } refusals)
        {
            throw new RefusedException(refusals);
        }

        using ImageSet images = ImageSet.Create(options.ImagesDirectory, options.Force);
        Tell(Stage.Prepare, $"process {options.Pid} can be dumped");
        WarmUp.Dump();
        _ = questions.Tasks;
        Tell(Stage.Freeze, $"stopping process {options.Pid}");
        bool isOurChild = IsOurChild();
        Tracer tracer = new(new X64Architecture(), options.Timeout, cancellation) { OwnChild = isOurChild ? options.Pid : 0 };
        using ChildSignal? silence = isOurChild ? ChildSignal.Silence() : null;
        long frozenAt = Stopwatch.GetTimestamp();
        using FrozenTree frozen = FrozenTree.Freeze(tracer, options.Pid);
        TimeSpan stop = Stopwatch.GetElapsedTime(frozenAt);
        using TreeCapture capture = new(tracer, frozen, images, options, events) { Questions = questions };
        bool finished = false;
        try
        {
            capture.Run();
            cancellation.ThrowIfCancellationRequested();
            TimeSpan? freeze = null;
            if (options.FinalState == FinalState.Run && options.Hooks is null)
            {
                frozen.Release();
            }

            // A tree that is to run on may have to wait for a script; for any other one all that follows is no loss.
            if (options.FinalState != FinalState.Run || options.Hooks is null)
            {
                freeze = Stopwatch.GetElapsedTime(frozenAt);
            }

            Tell(Stage.Images, "writing images to disk");
            images.Complete(ProcessImages.Inventory(), cancellation: cancellation);
            options.Hooks?.Reach(HookPoint.PostDump, options.Pid);
            finished = true;
            frozen.Finish(options.FinalState);
            freeze ??= Stopwatch.GetElapsedTime(frozenAt);

            // While the processes end.
            long bytes = images.MadeBytes();
            if (options.FinalState == FinalState.Kill)
            {
                frozen.AwaitEnd(tracer);
            }

            Tell(Stage.Finish, $"process {options.Pid} is dumped");
            return Result(images.Path, bytes, capture, (stop, freeze.Value, Stopwatch.GetElapsedTime(start)));
        }
        catch
        {
            if (!finished)
            {
                // While the tree still stands: it must not meet what was put beside its files.
                images.TakeBack();
                capture.Undo();
            }

            frozen.Release();
            throw;
        }
    }

    private bool IsOurChild()
    {
        using ProcDirectory root = new(options.Pid);
        return ProcStat.Read(root).ParentPid == Environment.ProcessId;
    }

    private DumpResult Result(string path, long bytes, TreeCapture capture, (TimeSpan Stop, TimeSpan Freeze, TimeSpan All) times) => new()
    {
        Path = path, Id = options.Pid, Processes = capture.Processes, Threads = capture.Threads, Pages = capture.Pages,
        Bytes = bytes,
        SharedPages = capture.SharedPages, ReplacedFiles = capture.Replaced, StopTime = times.Stop, SearchTime = capture.Times.Search, WriteTime = capture.Times.Write,
        FreezeTime = times.Freeze, Duration = times.All, FinalState = options.FinalState,
    };

    private void Tell(Stage stage, string message) => events?.Invoke(new OperationEvent(EventLevel.Information, stage, message));
}
