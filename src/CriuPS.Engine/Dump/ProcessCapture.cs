using CriuPS.Engine.Compel;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Images;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects;
using CriuPS.Engine.Objects.Cpu;
using CriuPS.Engine.Objects.Files;
using CriuPS.Engine.Objects.Memory;
using CriuPS.Engine.Options;
using CriuPS.Engine.Proc;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Dump;

/// <summary>Takes one frozen process into images. Whatever happens, the process is left cured: stopped, with its own registers.</summary>
internal sealed class ProcessCapture(
    Tracer tracer, FrozenProcess frozen, ProcDirectory proc, ImageSet images, DumpOptions options, Action<OperationEvent>? events)
{
    private const int StoppedState = 3, AliveState = 1;

    /// <summary>Whether the process is a newborn of ours, which has what others may not have.</summary>
    public bool Rehearsal { get; init; }

    public int Threads => frozen.Tasks.Count;

    public long Pages { get; private set; }

    public void Run()
    {
        Tell(Stage.Collect, "reading /proc");
        SaveRegisters();
        Inspection inspection = Inspection.Of(proc, options, frozen: true);
        ProcessDump process = MakeDump(inspection);
        Refuse(inspection, process);
        using SafeFileHandle pidfd = PidFd.Open(frozen.Pid);
        List<PageContent.Run> runs = PageContent.Find(proc, process.Mappings);
        uint pagesId = images.NextPagesId();
        using SafeFileHandle pagesFile = images.CreateRaw(ImageType.Pages, pagesId);
        RunParasite(process, inspection, pidfd, pagesFile, runs);
        tracer.Cancellation.ThrowIfCancellationRequested();
        CopyRest(pagesFile, process, runs);
        PageContent.WriteMap(images, process.Pid, pagesId, runs);
        Tell(Stage.Files, $"saving {inspection.Files.Count} descriptors");
        FileImages files = new(images, tracer.Cancellation);
        new ProcessImages(images, files).Write(process, inspection, pidfd);
        Pages = runs.Sum(r => (long)r.Length) / Kernel.Memory.PageSize + files.SharedMemory.Pages;
    }

    private void SaveRegisters()
    {
        foreach (Tracee task in frozen.Tasks)
        {
            TaskRegisters registers = task.Save();
            if (!task.Architecture.IsNative(registers.General))
            {
                throw new RefusedException([NewRefusal($"task {task.Tid}", "it is a 32-bit program", "32-bit programs are not supported yet")]);
            }

            if (RegistersX64.UnknownComponents(registers.Extended) is not 0 and ulong unknown)
            {
                throw new RefusedException([NewRefusal(
                    $"task {task.Tid}", $"its processor state has components that images cannot keep (XSTATE_BV 0x{unknown:x})", "let it finish its matrix work")]);
            }
        }
    }

    private ProcessDump MakeDump(Inspection inspection)
    {
        ProcessDump process = new()
        {
            Pid = frozen.Pid, Proc = proc, Stat = inspection.Stat, Status = inspection.Status, Mappings = inspection.Mappings,
        };
        MemoryLayout.Save(process);
        foreach (Tracee tracee in frozen.Tasks)
        {
            using ProcDirectory directory = new(frozen.Pid, tracee.Tid);
            TaskDump task = new(process, tracee) { Status = ProcStatus.Read(directory) };
            process.Tasks.Add(task);
            RestartableSequence.Save(task);
            SaveCore(task);
        }

        return process;
    }

    private void SaveCore(TaskDump task)
    {
        TaskRegisters original = task.Task.Original!;
        TaskRegisters settled = original with { General = [.. original.General] };
        task.Task.Architecture.SettleInterruptedSyscall(settled.General);
        task.Core.ThreadInfo = RegistersX64.Save(settled);
        task.Core.ThreadCore.BlkSigset = original.SignalMask;
        task.Core.ThreadCore.CgSet = 1;
        if (!task.IsLeader)
        {
            return;
        }

        task.Core.Tc = new TaskCoreEntry
        {
            TaskState = task.Task.StopSignal != 0 ? (uint)StoppedState : AliveState, ExitCode = 0, Flags = task.Process.Stat.Flags,
            BlkSigset = original.SignalMask, CgSet = 1,
        };
        if (task.Task.StopSignal != 0)
        {
            task.Core.Tc.StopSigno = (uint)task.Task.StopSignal;
        }
    }

    // A frozen process may hold what it did not hold a moment ago.
    private void Refuse(Inspection inspection, ProcessDump process)
    {
        List<Refusal> refusals = [.. inspection.Refusals];
        foreach (TaskDump task in process.Tasks.Skip(1))
        {
            if (!Kcmp.Same(frozen.Pid, task.Task.Tid, Kcmp.KCMP_FILES) || !Kcmp.Same(frozen.Pid, task.Task.Tid, Kcmp.KCMP_FS))
            {
                refusals.Add(NewRefusal($"thread {task.Task.Tid}", "it has its own descriptors or directories", "threads that unshare are not supported"));
            }

            if (task.Status.Seccomp is > 0)
            {
                refusals.Add(NewRefusal($"thread {task.Task.Tid}", "its system calls are filtered (seccomp)", "run the program without a filter"));
            }
        }

        if (refusals.Count > 0 && !Rehearsal)
        {
            throw new RefusedException(refusals);
        }
    }

    private void RunParasite(
        ProcessDump process, Inspection inspection, SafeFileHandle pidfd, SafeFileHandle pagesFile, IReadOnlyList<PageContent.Run> runs)
    {
        Tell(Stage.Parasite, $"asking {process.Tasks.Count} tasks");
        ulong site = SyscallSite.Find(frozen.Pid, [.. inspection.Mappings.Select(m => m.Vma)], frozen.Leader.Architecture);
        Parasite parasite = Parasite.Infect(frozen.Leader, pidfd, site, TaskQuestions.Room(process));
        try
        {
            TaskQuestions questions = new(parasite, process);
            questions.Ask();
            if (CanWriteItself(process) && runs.Any(r => r.Direct))
            {
                ulong total = runs.Aggregate(0UL, (sum, run) => sum + run.Length), done = 0;
                questions.WritePages(pagesFile, runs, bytes => TellProgress(done += bytes, total));
            }
        }
        finally
        {
            parasite.Cure();
        }
    }

    // RLIMIT_FSIZE counts for the process's own writes, and beyond it comes SIGXFSZ.
    private static bool CanWriteItself(ProcessDump process) => process.Leader.Core.Tc.Rlimits.Rlimits[1].Cur == ulong.MaxValue;

    private void CopyRest(SafeFileHandle pagesFile, ProcessDump process, IReadOnlyList<PageContent.Run> runs)
    {
        bool all = !CanWriteItself(process);
        using SafeFileHandle memory = proc.Open("mem", OpenAt.O_RDONLY);
        foreach (PageContent.Run run in runs)
        {
            if (all || !run.Direct)
            {
                tracer.Cancellation.ThrowIfCancellationRequested();
                PageContent.Copy(memory, pagesFile, run);
            }
        }
    }

    private Refusal NewRefusal(string subject, string reason, string remedy)
    {
        return new Refusal(frozen.Pid, ProcStat.Read(proc).Comm.ToDisplayString(), subject, reason, remedy);
    }

    private void Tell(Stage stage, string message) => events?.Invoke(new OperationEvent(EventLevel.Information, stage, message));

    private void TellProgress(ulong done, ulong total) =>
        events?.Invoke(new OperationEvent(EventLevel.Information, Stage.Memory, "writing memory", (long)done, (long)total));
}
