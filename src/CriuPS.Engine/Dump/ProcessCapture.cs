using CriuPS.Engine.Compel;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Images;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects;
using CriuPS.Engine.Objects.Credentials;
using CriuPS.Engine.Objects.Cpu;
using CriuPS.Engine.Objects.Memory;
using CriuPS.Engine.Objects.Uring;
using CriuPS.Engine.Proc;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Dump;

/// <summary>
/// Takes one frozen process into images, stage by stage, so that the processes of a tree go through each stage together. A process that fails is left
/// cured: stopped, with its own registers.
/// </summary>
internal sealed class ProcessCapture(Tracer tracer, FrozenProcess frozen, ImageSet images, Action<ulong> written) : IDisposable
{
    private const int StoppedState = 3, AliveState = 1;

    private Inspection? _inspection;
    private readonly ProcessDump _process = new() { Pid = frozen.Pid, Proc = frozen.Proc };
    private List<PageContent.Run> _runs = [];
    private SafeFileHandle? _pidfd, _pagesFile;
    private Parasite? _parasite;
    private uint _pagesId;
    private bool _canWriteItself;

    public int Pid => frozen.Pid;

    /// <summary>Pages to be saved, after <see cref="FindPages"/>.</summary>
    public long Pages => _runs.Sum(r => (long)r.Length) / Kernel.Memory.PageSize;

    /// <summary>Descriptors of the process, after <see cref="Describe"/>.</summary>
    public int Descriptors => _inspection!.Files.Count;

    /// <summary>Reads the registers of every task by ptrace, and starts their images with what else it tells.</summary>
    public void SaveRegisters()
    {
        foreach (Tracee tracee in frozen.Tasks.ToList())
        {
            TaskRegisters registers = tracee.Save();
            if (IsWorker(tracee.Architecture, registers.General))
            {
                frozen.LetGo(tracee);
                continue;
            }

            if (RegistersX64.UnknownComponents(registers.Extended) is not 0 and ulong unknown)
            {
                throw new RefusedException([NewRefusal(
                    $"task {tracee.Tid}", $"its processor state has components that images cannot keep (XSTATE_BV 0x{unknown:x})", "let it finish its matrix work")]);
            }

            TaskDump task = new(_process, tracee);
            RestartableSequence.Save(task);
            DebugRegisters.Save(task);
            _process.Tasks.Add(task);
        }
    }

    // The kernel gives threads of its own, such as those of io_uring, neither code nor stack (arch/x86/kernel/process.c, copy_thread).
    private static bool IsWorker(IArchitecture architecture, byte[] general) =>
        architecture.InstructionPointer(general) == 0 && architecture.StackPointer(general) == 0;

    /// <summary>Whether one of its tasks sits in a wait whose time only the kernel knows.</summary>
    public bool NeedsRestartBlocks => frozen.Tasks.Any(InterruptedWait.NeedsBlock);

    /// <summary>Goes on with the images of the process and of its tasks, with what /proc and the kernel's memory tell.</summary>
    /// <param name="inspection">What /proc tells.</param>
    /// <param name="blocks">What the kernel keeps of interrupted waits; null where it does not tell.</param>
    /// <param name="facts">What it keeps of tasks.</param>
    public void Describe(Inspection inspection, RestartBlocks? blocks, KernelFacts facts)
    {
        _inspection = inspection;
        _process.Take(inspection.Stat, inspection.Status, inspection.Mappings);
        List<(TaskDump Task, TaskRegisters Settled)> cores = [];
        foreach ((TaskDump task, ProcCredentials credentials) in _process.Tasks.Zip(Credentials(facts)))
        {
            task.Take(credentials, facts.Of(task.Task.Tid), facts.SessionKeyringOf(task.Task.Tid));
            if (credentials.Seccomp is > 0)
            {
                SeccompFilters.Suspend(task.Task.Tid, Ptrace.PTRACE_O_TRACESYSGOOD);
            }

            TaskRegisters settled = task.Task.Original! with { General = [.. task.Task.Original!.General] };
            InterruptedWait.Save(task, settled.General, blocks);
            cores.Add((task, settled));
        }

        Workers.Each(cores, core => SaveCore(core.Task, core.Settled));
        _process.Tasks.ForEach(CompatTask.Save);
    }

    // Most threads act as their leader does.
    private ProcCredentials[] Credentials(KernelFacts facts)
    {
        ProcCredentials ofLeader = ProcCredentials.Of(_process.Status);
        return Workers.Map(_process.Tasks, task => task.IsLeader || facts.HaveSameCredentials(frozen.Pid, task.Task.Tid)
            ? ofLeader : ProcCredentials.ReadTask(frozen.Proc, task.Task.Tid));
    }

    private static void SaveCore(TaskDump task, TaskRegisters settled)
    {
        task.Core.ThreadInfo = RegistersX64.Save(settled);
        task.Core.ThreadCore.BlkSigset = settled.SignalMask;
        task.Core.ThreadCore.CgSet = 1;
        if (!task.IsLeader)
        {
            return;
        }

        task.Core.Tc = new TaskCoreEntry
        {
            TaskState = task.Task.StopSignal != 0 ? (uint)StoppedState : AliveState, ExitCode = 0, Flags = task.Process.Stat.Flags,
            BlkSigset = settled.SignalMask, CgSet = 1,
        };
        if (task.Task.StopSignal != 0)
        {
            task.Core.Tc.StopSigno = (uint)task.Task.StopSignal;

            // What a wait of its parent would say, and 0 once the parent has heard of the stop (fs/proc/array.c, do_task_stat).
            task.Core.Tc.ExitCode = (uint)task.Process.Stat.ExitCode;
        }
    }

    /// <summary>What stops a dump that only shows in tasks that stand still.</summary>
    public IEnumerable<Refusal> TaskRefusals()
    {
        foreach (TaskDump task in _process.Tasks.Skip(1))
        {
            if (!HasSameFiles(_process.Leader, task))
            {
                yield return NewRefusal($"thread {task.Task.Tid}", "it has its own descriptors or directories", "threads that unshare are not supported");
            }

            if (task.SessionKeyring != _process.Leader.SessionKeyring)
            {
                yield return NewRefusal(
                    $"thread {task.Task.Tid}", $"it has another session keyring ({task.SessionKeyring:x}) than its process", "let the process join it before it has threads");
            }
        }
    }

    private static bool HasSameFiles(TaskDump leader, TaskDump task) =>
        leader.Facts is { } ofLeader && task.Facts is { } own
            ? (own.Files, own.Directories) == (ofLeader.Files, ofLeader.Directories)
            : Kcmp.Same(leader.Task.Tid, task.Task.Tid, Kcmp.KCMP_FILES) && Kcmp.Same(leader.Task.Tid, task.Task.Tid, Kcmp.KCMP_FS);

    /// <summary>Takes what /proc tells of the states of tasks. Any thread may do it.</summary>
    public void LookAtStates()
    {
        foreach (TaskDump task in _process.Tasks)
        {
            foreach (ITaskState state in TaskStates.InOrder)
            {
                state.Look(task);
            }

            // What there is to ask for, as POSIX timers, is in /proc too.
            _ = task.Room;
        }
    }

    /// <summary>Finds out which pages have to be saved.</summary>
    public void FindPages()
    {
        _runs = PageContent.Find(frozen.Proc, _process.Mappings);
        _canWriteItself = CanWriteItself();
    }

    /// <summary>Asks the tasks what only they can tell, and lets them save what they can of their pages; in turns with other processes.</summary>
    /// <param name="stays">Whether the process keeps the parasite, until <see cref="CureAsync"/> or its end; it waits in it, and with nothing of ours but that.</param>
    public async ValueTask RunParasiteAsync(bool stays)
    {
        tracer.Cancellation.ThrowIfCancellationRequested();
        _pagesId = images.NextPagesId();
        _pagesFile = images.CreateRaw(ImageType.Pages, _pagesId);
        _pidfd = PidFd.Open(frozen.Pid);
        int[] rings = [.. _inspection!.Files.Where(RingFile.Is).Select(f => f.Fd)];
        PageWrites? pages = rings.Length == 0 ? NewPageWrites() : null;
        _parasite = await Parasite.InfectAsync(frozen.Leader, _pidfd, [.. _inspection!.Mappings.Select(m => m.Vma)], TaskQuestions.Room(_process, pages));
        bool done = false;
        try
        {
            TaskQuestions questions = new(_parasite, _process);
            await questions.AskAsync(pages);
            await questions.SaveKeyringAsync();
            if (rings.Length > 0)
            {
                await AwaitRingsAsync(questions, rings);
                pages = NewPageWrites();
            }

            if (pages is { IsLast: false })
            {
                await questions.WritePagesAsync(pages);
            }

            done = true;
        }
        finally
        {
            if (!(done && stays))
            {
                await CureAsync();
            }
        }
    }

    /// <summary>Takes the parasite out, if it is there: every task stands stopped with its own registers, nothing of ours is left.</summary>
    public async ValueTask CureAsync()
    {
        if (_parasite is { } parasite)
        {
            _parasite = null;
            await parasite.CureAsync();
        }
    }

    /// <summary>Saves the pages that the tasks could not save, and writes down where all of them are. Any thread may do it.</summary>
    public void FinishPages()
    {
        tracer.Cancellation.ThrowIfCancellationRequested();
        CopyRest(_pagesFile!);
        PageContent.WriteMap(images, frozen.Pid, _pagesId, _runs);
        _pagesFile!.Dispose();
        _pagesFile = null;
    }

    // Requests of io_uring that are done are completed by the tasks themselves, when they leave the kernel. After that nothing more changes memory.
    private async ValueTask AwaitRingsAsync(TaskQuestions questions, int[] rings)
    {
        const int Patience = 20, Pause = 10;
        for (int tries = 0; KernelRings.InFlight(Pid, rings) is not 0 and long left; tries++)
        {
            if (tries == Patience)
            {
                throw new RefusedException([NewRefusal(
                    $"fd {rings[0]} -> io_uring", $"{left} requests are on their way and do not end", "let the program wait for them, or cancel them")]);
            }

            Thread.Sleep(tries == 0 ? 0 : Pause);
            await questions.CompleteRequestsAsync(rings);
            FindPages();
        }
    }

    /// <summary>Writes the images of the process.</summary>
    /// <param name="writer">Takes them.</param>
    /// <param name="parent">The process's parent in the tree; 0 for the root.</param>
    /// <param name="ids">What it shares with others.</param>
    public void WriteImages(ProcessImages writer, int parent, TaskKobjIdsEntry ids) => writer.Write(_process, _inspection!, _pidfd!, parent, ids);

    public void Dispose()
    {
        _parasite?.Dispose();
        _pagesFile?.Dispose();
        _pidfd?.Dispose();
    }

    private PageWrites? NewPageWrites() =>
        _canWriteItself && _runs.Any(run => run.Direct) ? new PageWrites(frozen.Pid, _pagesFile!, _runs, written) : null;

    // RLIMIT_FSIZE counts for the process's own writes, and beyond it comes SIGXFSZ.
    private bool CanWriteItself() =>
        ProcLimits.Read(frozen.Proc).First(limit => limit.Kind == ResourceKind.FileSize).Soft == ResourceLimit.Unlimited;

    private void CopyRest(SafeFileHandle pagesFile)
    {
        List<PageContent.Run> rest = _canWriteItself ? [.. _runs.Where(run => !run.Direct)] : _runs;
        if (rest.Count == 0)
        {
            return;
        }

        using SafeFileHandle memory = frozen.Proc.Open("mem", OpenAt.O_RDONLY);
        foreach (PageContent.Run run in rest)
        {
            tracer.Cancellation.ThrowIfCancellationRequested();
            PageContent.Copy(memory, pagesFile, run);
        }
    }

    private Refusal NewRefusal(string subject, string reason, string remedy) =>
        new(frozen.Pid, ProcStat.Read(frozen.Proc).Comm.ToDisplayString(), subject, reason, remedy);
}
