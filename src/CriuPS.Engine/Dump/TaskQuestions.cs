using CriuPS.Engine.Compel;
using CriuPS.Engine.Images;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects;
using CriuPS.Engine.Objects.Credentials;
using CriuPS.Engine.Objects.Memory;
using CriuPS.Engine.Objects.Signals;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Dump;

/// <summary>The parasite phase of a dump: what only the tasks can tell, and their pages, written by themselves.</summary>
/// <param name="parasite">The parasite in the process.</param>
/// <param name="process">The process.</param>
internal sealed class TaskQuestions(Parasite parasite, ProcessDump process)
{
    private const int LeaderProgram = 24 << 10, ThreadProgram = 4 << 10, CompletionProgram = 2 << 10, MostRings = 8, WriteProgram = 128 << 10;

    private List<(Tracee, SyscallProgram)>? _completions;

    /// <summary>Bytes that the parasite of a process needs.</summary>
    public static int Room(ProcessDump process, PageWrites? pages) =>
        process.Tasks.Sum(t => Parasite.RoomFor(t.Task, ProgramSize(t)) + CompletionProgram) + (pages?.Room ?? 0) + WriteProgram + KeyProgram(process);

    /// <summary>Asks all tasks at once.</summary>
    /// <param name="pages">What the process shall write at the same time, as much of it as one program can; null for nothing.</param>
    public async ValueTask AskAsync(PageWrites? pages)
    {
        List<(Tracee Task, SyscallProgram Program)> runs = [];
        List<Action> answers = [];
        foreach (TaskDump task in process.Tasks)
        {
            SyscallProgram program = parasite.NewProgram(task.Task, ProgramSize(task) + (task.IsLeader ? pages?.Room ?? 0 : 0));
            foreach (ITaskState state in TaskStates.InOrder)
            {
                if (state.Ask(task, program) is { } answer)
                {
                    answers.Add(answer);
                }
            }

            runs.Add((task.Task, program));
        }

        pages?.AddTo(parasite, runs[0].Program, process.Leader.Task.Cancellation);
        await parasite.RunAsync(runs);
        answers.ForEach(answer => answer());
        if (pages is not null)
        {
            await FinishPagesAsync(pages, runs[0].Program);
        }

        runs.ForEach(run => run.Program.Clear());
        foreach (TaskDump task in process.Tasks)
        {
            AlternateStack.Save(task, parasite.AlternateStack(task.Task));
        }
    }

    /// <summary>Lets all tasks complete those of their requests to io_uring that are done.</summary>
    public ValueTask CompleteRequestsAsync(int[] rings)
    {
        _completions ??= [.. process.Tasks.Select(task => (task.Task, parasite.NewProgram(task.Task, CompletionProgram)))];
        foreach ((_, SyscallProgram program) in _completions)
        {
            program.Clear();
            foreach (int ring in rings.Take(MostRings))
            {
                program.Try("io_uring_enter", SyscallNumber.io_uring_enter, ring, 0, 0, IoUring.IORING_ENTER_GETEVENTS, 0, 0);
            }
        }

        return parasite.RunAsync(_completions);
    }

    /// <summary>Saves the session keyring, if the process has one of its own.</summary>
    public async ValueTask SaveKeyringAsync()
    {
        if (process.Leader.SessionKeyring is { } serial)
        {
            process.Extra.SessionKeyring = new CriupsKeyringEntry { Serial = 0 };
            if (serial != 0)
            {
                SyscallProgram program = parasite.NewProgram(process.Leader.Task, SessionKeyring.Room);
                process.Extra.SessionKeyring = await SessionKeyring.SaveAsync(
                    process, serial, program, () => parasite.RunAsync([(process.Leader.Task, program)]));
                program.Clear();
            }
        }
    }

    private static int KeyProgram(ProcessDump process) =>
        process.Leader.SessionKeyring is > 0 ? Parasite.RoomFor(process.Leader.Task, SessionKeyring.Room) : 0;

    /// <summary>Lets the process write its own pages, as far as it has not written them already.</summary>
    public async ValueTask WritePagesAsync(PageWrites pages)
    {
        Tracee leader = process.Leader.Task;
        SyscallProgram program = parasite.NewProgram(leader, WriteProgram - 8192);
        for (bool last = false; !last;)
        {
            pages.AddTo(parasite, program, leader.Cancellation);
            last = pages.IsLast;
            await parasite.RunAsync([(leader, program)]);
            await FinishPagesAsync(pages, program);
            program.Clear();
        }

        leader.Cancellation.ThrowIfCancellationRequested();
    }

    // The process goes on even if it could not write, and with no descriptor of ours.
    private async ValueTask FinishPagesAsync(PageWrites pages, SyscallProgram program)
    {
        if (pages.Finish(program) is not { } failure)
        {
            return;
        }

        if (!pages.IsLast)
        {
            program.Clear();
            pages.AddClose(program);
            await parasite.RunAsync([(process.Leader.Task, program)]);
        }

        throw failure;
    }

    private static int ProgramSize(TaskDump task) =>
        (task.IsLeader ? LeaderProgram : ThreadProgram) + task.Room;
}
