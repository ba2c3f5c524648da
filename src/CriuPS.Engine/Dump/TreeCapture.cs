using System.Diagnostics;
using CriuPS.Engine.Check;
using CriuPS.Engine.Compel;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Images;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects.Files;
using CriuPS.Engine.Objects.Ids;
using CriuPS.Engine.Objects.Timers;
using CriuPS.Engine.Options;
using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Dump;

/// <summary>
/// Takes a frozen tree into images, stage by stage. All its processes are left cured, except when they are to be killed and nobody sees them before that:
/// then what would be put back is lost anyway, and only <see cref="Undo"/> needs it.
/// </summary>
internal sealed class TreeCapture(Tracer tracer, FrozenTree frozen, ImageSet images, DumpOptions options, Action<OperationEvent>? events) : IDisposable
{
    // Each process whose pages are being saved takes descriptors of ours.
    private const int AtOnce = 64, InTurns = 16;

    // Each process that keeps its parasite takes a descriptor of ours.
    private const int MostUncured = 4096;

    private readonly List<ProcessCapture> _processes = [];
    private ulong _bytes, _bytesDone;
    private TreeInspection? _inspection;

    /// <summary>Whether the tree is a newborn of ours, which has what others may not have.</summary>
    public bool Rehearsal { get; init; }

    /// <summary>The questions to the kernel's memory that are put together already; they stay the caller's.</summary>
    public KernelQuestions? Questions { get; init; }

    /// <summary>Processes, those that have ended included.</summary>
    public int Processes => _processes.Count + frozen.Zombies.Count;

    public int Threads => frozen.Processes.Sum(p => p.Tasks.Count);

    public long Pages { get; private set; }

    /// <summary>Those of them that are shared.</summary>
    public long SharedPages { get; private set; }

    /// <summary>Descriptors of files that cannot be saved and are left out, and why.</summary>
    public IReadOnlyList<Refusal> Replaced { get; private set; } = [];

    /// <summary>How long it took to find pages, and to ask tasks and write their pages.</summary>
    public (TimeSpan Search, TimeSpan Write) Times { get; private set; }

    public void Run()
    {
        Tell(Stage.Collect, $"reading /proc of {frozen.Processes.Count} processes");
        _processes.AddRange(frozen.Processes.Select(p => new ProcessCapture(tracer, p, images, OnWritten)));
        TreeInspection inspection = Inspect();
        List<TaskKobjIdsEntry> ids = SharedObjects.Of([.. frozen.Processes.Select(p => p.Pid)], inspection.HasOwnTime);
        Refuse([.. inspection.Refusals, .. _processes.SelectMany(p => p.TaskRefusals()), .. SharingRefusals(inspection, ids)]);
        Replaced = inspection.Processes.SelectMany(p => p.Replaced).ToArray();
        foreach (Refusal file in Replaced)
        {
            string fate = options.UnsupportedFiles == UnsupportedFiles.Close ? "will be closed" : "will be /dev/null";
            events?.Invoke(new OperationEvent(EventLevel.Warning, Stage.Files, $"process {file.Pid} ({file.ProcessName}): {file.Subject} {fate}: {file.Reason}"));
        }

        // Which descriptors are one open file is found out beside the tasks' work.
        Task<SharedOpenFiles> sharing = Task.Run(() => new SharedOpenFiles(inspection.Files.All));
        try
        {
            AskTasks();
            WriteImages(inspection, ids, sharing.GetAwaiter().GetResult());
        }
        finally
        {
            // No thread of ours is left at it when the processes go on.
            Workers.AwaitQuietly(sharing);
        }
    }

    // What /proc tells is read beside what only the tracer's thread can ask for.
    private TreeInspection Inspect()
    {
        Task<TreeInspection> looking = Task.Run(() => TreeInspection.Of([.. frozen.Processes.Select(p => p.Proc)], frozen.Zombies, options, Questions?.Files));
        try
        {
            _processes.ForEach(p => p.SaveRegisters());
            RestartBlocks? blocks = _processes.Any(p => p.NeedsRestartBlocks) ? RestartBlocks.TryRead() : null;
            KernelFacts facts = KernelFacts.Ask(Questions?.Tasks, [.. frozen.Processes.Select(p => p.Pid)]);
            TreeInspection inspection = looking.GetAwaiter().GetResult();
            for (int i = 0; i < _processes.Count; i++)
            {
                _processes[i].Describe(inspection.Processes[i], blocks, facts);
            }

            return inspection;
        }
        finally
        {
            Workers.AwaitQuietly(looking);

            // It holds descriptors of ours, whatever happened meanwhile.
            _inspection = looking.IsCompletedSuccessfully ? looking.Result : null;
        }
    }

    private void AskTasks()
    {
        long start = Stopwatch.GetTimestamp();
        Workers.Each(_processes, p =>
        {
            p.FindPages();
            p.LookAtStates();
        });
        TimeSpan search = Stopwatch.GetElapsedTime(start);
        Pages = _processes.Sum(p => p.Pages);
        _bytes = (ulong)Pages * Memory.PageSize;
        Tell(Stage.Parasite, $"asking {Threads} tasks");
        bool stays = options.FinalState == FinalState.Kill && options.Hooks is null && !Rehearsal && _processes.Count <= MostUncured;
        foreach (ProcessCapture[] some in _processes.Chunk(AtOnce))
        {
            Turns.Run(tracer, some, InTurns, process => process.RunParasiteAsync(stays));
            Workers.Each(some, process => process.FinishPages());
        }

        Times = (search, Stopwatch.GetElapsedTime(start) - search);
    }

    /// <summary>Cures all processes that are not cured yet, when the dump has failed; they still stand.</summary>
    public void Undo()
    {
        foreach (ProcessCapture process in _processes)
        {
            try
            {
                process.CureAsync().AsTask().GetAwaiter().GetResult();
            }
            catch (CriuException e)
            {
                // The others must be cured all the same, and why the dump failed is what its caller hears.
                events?.Invoke(new OperationEvent(EventLevel.Warning, Stage.Parasite, $"process {process.Pid} could not be put back as it was: {e.Message}"));
            }
        }
    }

    public void Dispose()
    {
        _inspection?.Files.Queues.Dispose();
        _processes.ForEach(p => p.Dispose());
    }

    // A frozen tree may hold what it did not hold a moment ago.
    private void Refuse(List<Refusal> refusals)
    {
        if (refusals.Count > 0 && !Rehearsal)
        {
            throw new RefusedException(refusals);
        }
    }

    // Tables of descriptors and directories are shared with a parent, from whom they can be had at birth; nothing else may be shared.
    private static IEnumerable<Refusal> SharingRefusals(TreeInspection inspection, List<TaskKobjIdsEntry> ids)
    {
        foreach ((string what, Func<TaskKobjIdsEntry, uint> id, bool fromParent) in s_sharedKinds)
        {
            Dictionary<int, uint> byPid = [];
            HashSet<uint> known = [];
            for (int i = 0; i < ids.Count; i++)
            {
                ProcStat stat = inspection.Processes[i].Stat;
                uint own = byPid[stat.Pid] = id(ids[i]);
                if (!known.Add(own) && !(fromParent && byPid.GetValueOrDefault(stat.ParentPid) == own && inspection.Plan!.IsBornByParent(stat.Pid)))
                {
                    string reason = fromParent ? "it shares them with a process that did not give birth to it" : "it shares them with another process";
                    yield return new Refusal(stat.Pid, stat.Comm.ToDisplayString(), what, reason, "programs that share so are not supported");
                }
            }
        }
    }

    private static readonly (string What, Func<TaskKobjIdsEntry, uint> Id, bool FromParent)[] s_sharedKinds =
    [
        ("memory (CLONE_VM)", ids => ids.VmId, false), ("signal actions (CLONE_SIGHAND)", ids => ids.SighandId, false),
        ("descriptors (CLONE_FILES)", ids => ids.FilesId, true), ("directories (CLONE_FS)", ids => ids.FsId, true),
    ];

    private void WriteImages(TreeInspection inspection, List<TaskKobjIdsEntry> ids, SharedOpenFiles shared)
    {
        foreach (OpenFile pipe in inspection.Files.All.Where(f => PipeFile.EndsOutside(f, inspection.Files)))
        {
            string message = $"process {pipe.Pid}: {pipe} has its other end outside of the tree; a restore without -InheritFd fd[N]:{pipe.Link.ToDisplayString()} makes one without that end";
            events?.Invoke(new OperationEvent(EventLevel.Warning, Stage.Files, message));
        }

        Tell(Stage.Files, $"saving {_processes.Sum(p => p.Descriptors)} descriptors");
        FileImages files = new(images, inspection.Files, shared, options, tracer.Cancellation);
        files.Events.Take(inspection.Files, options.FinalState);
        ProcessImages writer = new(images, files);
        for (int i = 0; i < _processes.Count; i++)
        {
            _processes[i].WriteImages(writer, i == 0 ? 0 : inspection.Processes[i].Stat.ParentPid, ids[i]);
        }

        foreach (ProcStat zombie in inspection.Zombies)
        {
            writer.WriteZombie(zombie);
        }

        writer.Finish();
        TimeNamespace.Save(images, frozen.Root.Proc, inspection.HasOwnTime);
        if (options.CpuCapabilities.HasFlag(CpuCapabilities.Image))
        {
            ProcessorImage.Write(images);
        }

        SharedPages = files.SharedMemory.Pages;
        Pages += SharedPages;
    }

    private void Tell(Stage stage, string message) => events?.Invoke(new OperationEvent(EventLevel.Information, stage, message));

    private void OnWritten(ulong bytes)
    {
        _bytesDone += bytes;
        events?.Invoke(new OperationEvent(EventLevel.Information, Stage.Memory, "writing memory", (long)_bytesDone, (long)_bytes));
    }
}
