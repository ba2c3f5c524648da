using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Options;
using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Compel;

/// <summary>A process all of whose tasks stand still, and the way to let it go.</summary>
internal sealed class FrozenProcess
{
    private const int MostPasses = 50;

    private readonly List<Tracee> _tasks = [];

    private FrozenProcess(int pid) => Pid = pid;

    public int Pid { get; }

    /// <summary>Its tasks, the leader first.</summary>
    public IReadOnlyList<Tracee> Tasks => _tasks;

    public Tracee Leader => _tasks[0];

    /// <summary>Seizes every task of a process, in bounded passes until none is new.</summary>
    /// <exception cref="CriuException">It cannot be seized; nothing is left seized.</exception>
    public static FrozenProcess Freeze(Tracer tracer, ProcDirectory proc)
    {
        FrozenProcess process = new(proc.Pid);
        try
        {
            for (int pass = 0; process.SeizeNew(tracer, proc); pass++)
            {
                if (pass == MostPasses)
                {
                    throw new CriuException("TreeKeepsGrowing", CriuErrorKind.Busy, $"process {proc.Pid} makes threads faster than they can be stopped")
                    {
                        Pid = proc.Pid, Remedy = "try again when it is quieter",
                    };
                }
            }
        }
        catch
        {
            process.Release();
            throw;
        }

        return process;
    }

    /// <summary>Lets every task run on with what it had.</summary>
    public void Release()
    {
        foreach (Tracee task in _tasks)
        {
            if (!task.Released)
            {
                ReleaseOne(task);
            }
        }
    }

    /// <summary>Ends the dump: the process is killed, runs on, or stays stopped.</summary>
    public void Finish(FinalState state)
    {
        if (state == FinalState.Kill)
        {
            Signals.Kill(Pid, Signals.SIGKILL);
            return;
        }

        if (state == FinalState.Stop)
        {
            Signals.Kill(Pid, Signals.SIGSTOP);
        }

        Release();
    }

    /// <summary>Waits until a killed process is gone for its tracer; its parent reaps it.</summary>
    public void AwaitEnd(Tracer tracer)
    {
        foreach (Tracee task in _tasks.AsEnumerable().Reverse())
        {
            while (!task.Released)
            {
                if (tracer.Await(task.Tid, TimeSpan.FromMinutes(1), cancellable: false).IsGone)
                {
                    task.Forget();
                }
            }
        }
    }

    private static void ReleaseOne(Tracee task)
    {
        try
        {
            task.Detach();
        }
        catch (KernelException e) when (e.Errno == Errno.ESRCH)
        {
            // Killed by somebody else meanwhile: there is nothing left to let go.
            task.Forget();
        }
    }

    private bool SeizeNew(Tracer tracer, ProcDirectory proc)
    {
        HashSet<int> known = [.. _tasks.Select(t => t.Tid)];
        List<Tracee> found = [];
        foreach (int tid in proc.ListNumbers("task"))
        {
            if (!known.Contains(tid) && TrySeize(tracer, tid) is { } task)
            {
                _tasks.Add(task);
                found.Add(task);
            }
        }

        foreach (Tracee task in found)
        {
            task.AwaitFreeze();
        }

        int leader = _tasks.FindIndex(t => t.Tid == Pid);
        if (leader > 0)
        {
            (_tasks[0], _tasks[leader]) = (_tasks[leader], _tasks[0]);
        }

        return found.Count > 0;
    }

    private Tracee? TrySeize(Tracer tracer, int tid)
    {
        try
        {
            return Tracee.Seize(tracer, Pid, tid, Ptrace.PTRACE_O_TRACESYSGOOD);
        }
        catch (KernelException e) when (e.Errno == Errno.ESRCH && tid != Pid)
        {
            // The thread ended between listing and seizing.
            return null;
        }
    }
}
