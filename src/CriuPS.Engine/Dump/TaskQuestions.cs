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
    public static int Room(ProcessDump process) =>
        process.Tasks.Sum(t => Parasite.RoomFor(t.Task, ProgramSize(t)) + CompletionProgram) + WriteProgram + KeyProgram(process);

    /// <summary>Asks all tasks at once.</summary>
    public async ValueTask AskAsync()
    {
        List<(Tracee, SyscallProgram)> runs = [];
        List<Action> answers = [];
        foreach (TaskDump task in process.Tasks)
        {
            SyscallProgram program = parasite.NewProgram(task.Task, ProgramSize(task));
            foreach (ITaskState state in TaskStates.InOrder)
            {
                if (state.Ask(task, program) is { } answer)
                {
                    answers.Add(answer);
                }
            }

            runs.Add((task.Task, program));
        }

        await parasite.RunAsync(runs);
        answers.ForEach(answer => answer());
        runs.ForEach(run => run.Item2.Clear());
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

    /// <summary>Lets the process write its own pages.</summary>
    /// <param name="pagesFile">The pages file.</param>
    /// <param name="runs">What to write; runs that are not direct are left out.</param>
    /// <param name="written">Told the bytes written after each part.</param>
    public async ValueTask WritePagesAsync(SafeFileHandle pagesFile, IReadOnlyList<PageContent.Run> runs, Action<ulong> written)
    {
        Tracee leader = process.Leader.Task;
        SyscallProgram program = parasite.NewProgram(leader, WriteProgram - 8192);
        UnixSocket.SendDescriptors(parasite.Socket, [(int)pagesFile.DangerousGetHandle()]);
        DescriptorReceipt receipt = DescriptorReceipt.Add(program, parasite.RemoteSocket, 1, UnixSocket.MSG_CMSG_CLOEXEC, "the pages file");
        Argument number = receipt.First;
        int next = 0;
        while (true)
        {
            List<(Operation Write, ulong Bytes)> writes = PageContent.AddWrites(program, number, runs, ref next);
            bool last = next >= runs.Count || leader.Cancellation.IsCancellationRequested;
            if (last)
            {
                program.Try("close of the pages file", SyscallNumber.close, number);
            }

            await parasite.RunAsync([(leader, program)]);
            RemoteCallException? failure = Failure(program, writes);
            if (!last)
            {
                // Later rounds have other data where the answer to the first one was.
                number = number.Kind == Argument.Constant ? number : receipt.Numbers(program)[0];
                program.Clear();
            }

            if (failure is not null)
            {
                await CloseUnlessAsync(last, program, number);
                throw failure;
            }

            writes.ForEach(write => written(write.Bytes));
            if (last)
            {
                program.Clear();
                leader.Cancellation.ThrowIfCancellationRequested();
                return;
            }
        }
    }

    private RemoteCallException? Failure(SyscallProgram program, List<(Operation Write, ulong Bytes)> writes)
    {
        foreach ((Operation write, ulong bytes) in writes)
        {
            long result = program.Result(write);
            if ((ulong)result != bytes)
            {
                int errno = Syscall.IsError(result) ? (int)-result : Errno.ENOSPC;
                return new RemoteCallException(process.Pid, "write of memory pages", errno) { Remedy = ImageWriter.RemedyFor(errno) };
            }
        }

        return null;
    }

    // The process goes on, and with no descriptor of ours.
    private async ValueTask CloseUnlessAsync(bool closed, SyscallProgram program, Argument number)
    {
        if (!closed)
        {
            program.Try("close of the pages file", SyscallNumber.close, number);
            await parasite.RunAsync([(process.Leader.Task, program)]);
        }
    }

    private static int ProgramSize(TaskDump task) =>
        (task.IsLeader ? LeaderProgram : ThreadProgram) + TaskStates.InOrder.Sum(state => state.Room(task));
}
