using CriuPS.Engine.Compel;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Restore;

/// <summary>
/// Brings a process that we trace into the state of a stopped one (signal(7), job control). The kernel remembers the stop with the process: while it is
/// traced it can still be made to run, and when it is let go it stops again without a word to its parent (kernel/ptrace.c, __ptrace_unlink).
/// </summary>
internal static class GroupStop
{
    /// <summary>Stops a process whose tasks stand still, all signals blocked and none pending.</summary>
    /// <param name="tracer">Who traces it.</param>
    /// <param name="tasks">Its tasks with nothing left to do, the leader first.</param>
    /// <param name="signal">The signal that it shall be stopped by.</param>
    public static void Enter(Tracer tracer, IReadOnlyList<RemoteBatch> tasks, int signal)
    {
        int leader = tasks[0].Task.Tid;
        Signals.Kill(tasks[0].Task.Pid, Signals.SIGSTOP);
        tasks[0].Start();
        Await(tracer, leader, status => !status.IsEventStop && status.StopSignal == Signals.SIGSTOP);

        // SIGSTOP alone cannot be blocked; on its way it becomes the signal that it stands for, which must not be blocked then.
        ulong mask = Ptrace.GetSigMask(leader);
        Ptrace.SetSigMask(leader, 0);
        Ptrace.Continue(leader, signal);
        bool stopped = Await(tracer, leader, status => status.IsEventStop || status.StopSignal == Signals.SIGTRAP).IsEventStop;
        Ptrace.SetSigMask(leader, mask);
        if (!stopped)
        {
            // Nobody would see it stop from a terminal (an orphaned group): the kernel passes over all stop signals but one.
            Enter(tracer, tasks, Signals.SIGSTOP);
            return;
        }

        foreach (RemoteBatch thread in tasks.Skip(1))
        {
            thread.Start();
            Await(tracer, thread.Task.Tid, status => status.IsEventStop);
        }
    }

    /// <summary>Lets a parent forget what the kernel told it of its children meanwhile: saved signals come later.</summary>
    /// <param name="parent">The parent.</param>
    /// <param name="known">Its children that are stopped and of whose stops it had heard.</param>
    public static void Forget(RemoteBatch parent, IEnumerable<int> known)
    {
        foreach (int child in known)
        {
            SyscallProgram program = parent.Room(1, Ptrace.SiginfoSize);
            ulong info = program.Reserve(Ptrace.SiginfoSize);
            program.Add($"waitid({child})", SyscallNumber.waitid, Wait.P_PID, child, info, Wait.WSTOPPED | Wait.WNOHANG, 0);
        }

        SyscallProgram last = parent.Room(1, 32);
        ulong set = last.Put(1UL << (Signals.SIGCHLD - 1)), now = last.Put(default(timespec));
        last.Try("rt_sigtimedwait(SIGCHLD)", SyscallNumber.rt_sigtimedwait, set, 0, now, sizeof(ulong));
    }

    private static WaitStatus Await(Tracer tracer, int tid, Func<WaitStatus, bool> isExpected)
    {
        WaitStatus status = tracer.Await(tid, TimeSpan.FromSeconds(30), cancellable: false);
        return isExpected(status)
            ? status
            : throw new CriuException("StopFailed", CriuErrorKind.KernelFailure, $"task {tid} could not be stopped: it {status}") { Pid = tid };
    }
}
