using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Options;
using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Compel;

/// <summary>A process whose tasks stand still, or are about to, and the way to let it go.</summary>
internal sealed class FrozenProcess : IDisposable
{
    private readonly List<Tracee> _tasks = [];
    private readonly List<Tracee> _stopping = [];

    /// <param name="proc">The process; the object takes it over.</param>
    public FrozenProcess(ProcDirectory proc) => Proc = proc;

    public int Pid => Proc.Pid;

    /// <summary>The process's directory in /proc.</summary>
    public ProcDirectory Proc { get; }

    /// <summary>Its tasks, the leader first.</summary>
    public IReadOnlyList<Tracee> Tasks => _tasks;

    public Tracee Leader => _tasks[0];

    /// <summary>Whether all its tasks have been found and stand: it can make neither a task nor a child any more.</summary>
    public bool IsSettled { get; private set; }

    /// <summary>The children as far as they are known: those of all tasks are asked for once, when the process has settled.</summary>
    public List<int> ListChildren(bool settledNow) =>
        settledNow ? ProcTasks.ListChildren(Proc, [.. _tasks.Select(task => task.Tid)]) : ProcTasks.ListChildrenOfLeader(Proc);

    /// <summary>Seizes every task that is not held yet, without waiting until it stands; if there is none, the process has settled.</summary>
    /// <returns>Whether there was one.</returns>
    /// <exception cref="CriuException">A task cannot be seized.</exception>
    public bool SeizeNew(Tracer tracer)
    {
        bool any = false;
        HashSet<int> known = [.. _tasks.Select(t => t.Tid)];
        foreach (int tid in Proc.ListNumbers("task"))
        {
            if (known.Contains(tid) || TrySeize(tracer, tid) is not { } task)
            {
                continue;
            }

            any = true;
            _stopping.Add(task);
            _tasks.Insert(tid == Pid ? 0 : _tasks.Count, task);
        }

        IsSettled = !any;
        return any;
    }

    /// <summary>Waits until every seized task stands still; tasks that ended instead are forgotten.</summary>
    /// <returns>False if the process itself ended.</returns>
    public bool AwaitStop()
    {
        // The end of a leader is told after that of the others only (kernel/exit.c, delay_group_leader): it comes last.
        foreach (Tracee task in _stopping.AsEnumerable().Reverse())
        {
            if (!task.TryAwaitFreeze())
            {
                _tasks.Remove(task);
            }
        }

        _stopping.Clear();
        return _tasks.Count > 0 && Leader.Tid == Pid;
    }

    /// <summary>Lets a task go that is none of the program: a worker of the kernel, which is listed among the threads.</summary>
    public void LetGo(Tracee worker)
    {
        worker.Release();
        _tasks.Remove(worker);
    }

    /// <summary>Lets every task run on with what it had.</summary>
    public void Release()
    {
        foreach (Tracee task in _tasks)
        {
            task.Release();
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

    public void Dispose() => Proc.Dispose();

    private Tracee? TrySeize(Tracer tracer, int tid)
    {
        try
        {
            return Tracee.Seize(tracer, Pid, tid, Ptrace.PTRACE_O_TRACESYSGOOD);
        }
        catch (KernelException e) when (e.Errno is Errno.ESRCH or Errno.EPERM && HasEnded(tid))
        {
            // The task ended between listing and seizing.
            return null;
        }
    }

    // ptrace(2) says EPERM for a task that is dead and not reaped.
    private bool HasEnded(int tid)
    {
        try
        {
            using ProcDirectory task = Proc.OpenTask(tid);
            return ProcStat.Read(task).IsZombie;
        }
        catch (CriuException e) when (e.Id == "ProcessGone")
        {
            return true;
        }
    }
}
