using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Options;
using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Compel;

/// <summary>A process with all its descendants, all of whose tasks stand still, and the way to let them go.</summary>
internal sealed class FrozenTree : IDisposable
{
    private const int MostPasses = 50;

    private readonly int _root;
    private readonly List<FrozenProcess> _processes = [];
    private readonly HashSet<int> _zombies = [];

    private FrozenTree(int root) => _root = root;

    /// <summary>The processes, parents before their children.</summary>
    public IReadOnlyList<FrozenProcess> Processes => _processes;

    public FrozenProcess Root => _processes[0];

    /// <summary>The pids of those that have ended and wait for their parents, which stand still and cannot fetch them.</summary>
    public IReadOnlyCollection<int> Zombies => _zombies;

    /// <summary>Seizes every task of every process, in bounded passes until a pass finds neither a new task nor a new child.</summary>
    /// <exception cref="CriuException">The root or one of the others cannot be seized; nothing is left seized.</exception>
    public static FrozenTree Freeze(Tracer tracer, int root)
    {
        FrozenTree tree = new(root);
        try
        {
            tree._processes.Add(new FrozenProcess(new ProcDirectory(root)));
            for (int pass = 0; tree.Grow(tracer); pass++)
            {
                if (pass == MostPasses)
                {
                    throw new CriuException("TreeKeepsGrowing", CriuErrorKind.Busy, $"the tree of process {root} grows faster than it can be stopped")
                    {
                        Pid = root, Remedy = "try again when it is quieter",
                    };
                }
            }

            tree.ReleaseStrays();
        }
        catch
        {
            tree.Release();
            tree.Dispose();
            throw;
        }

        return tree;
    }

    /// <summary>Lets all run on with what they had.</summary>
    public void Release()
    {
        foreach (FrozenProcess process in _processes)
        {
            process.Release();
        }
    }

    /// <summary>Ends the dump: all are killed, run on, or stay stopped.</summary>
    public void Finish(FinalState state)
    {
        foreach (FrozenProcess process in _processes)
        {
            process.Finish(state);
        }
    }

    /// <summary>Waits until all killed processes are gone for their tracer.</summary>
    public void AwaitEnd(Tracer tracer)
    {
        foreach (FrozenProcess process in _processes)
        {
            process.AwaitEnd(tracer);
        }
    }

    public void Dispose()
    {
        foreach (FrozenProcess process in _processes)
        {
            process.Dispose();
        }
    }

    // The list grows while it is walked: children are seized in the pass that finds them, and nobody is waited for before all are seized.
    private bool Grow(Tracer tracer)
    {
        bool grew = false;
        HashSet<int> known = [.. _processes.Select(p => p.Pid), .. _zombies];
        for (int i = 0; i < _processes.Count; i++)
        {
            grew |= GrowAt(_processes[i], tracer, known);
        }

        for (int i = _processes.Count - 1; i >= 0; i--)
        {
            if (!_processes[i].AwaitStop())
            {
                Forget(i);
                grew = true;
            }
        }

        return grew;
    }

    private bool GrowAt(FrozenProcess process, Tracer tracer, HashSet<int> known)
    {
        try
        {
            bool settled = process.IsSettled;
            bool stopping = !settled && process.SeizeNew(tracer);
            bool grew = stopping;
            foreach (int child in process.ListChildren(settledNow: !settled && !stopping).Where(known.Add))
            {
                // Who called vfork stands only when the child has let go of its memory: that must run until then, and the next pass takes it.
                if (!stopping || !Kcmp.TrySame(process.Pid, child, Kcmp.KCMP_VM))
                {
                    Add(child);
                    grew = true;
                }
            }

            return grew;
        }
        catch (CriuException e) when (e.Id == "ProcessGone" && process.Tasks.Count == 0)
        {
            // It ended and was fetched, before anything of it could be seized.
            return true;
        }
    }

    private void Add(int pid)
    {
        try
        {
            _processes.Add(new FrozenProcess(new ProcDirectory(pid)));
        }
        catch (CriuException e) when (e.Id == "ProcessGone")
        {
            // It ended and was fetched; the next pass will not find it.
        }
    }

    // A process that had ended, or did so while it was seized; it is a zombie as long as its parent has not fetched it.
    private void Forget(int index)
    {
        FrozenProcess process = _processes[index];
        if (process.Tasks.Count > 0)
        {
            throw new CriuException(
                "LeaderEnded", CriuErrorKind.NotSupported, $"process {process.Pid}: its first thread has ended while others run, which cannot be dumped")
            {
                Pid = process.Pid, Remedy = "let the program keep its main thread",
            };
        }

        if (index == 0)
        {
            throw new CriuException("ProcessGone", CriuErrorKind.NotFound, $"process {_root} ended while it was being stopped") { Pid = _root };
        }

        if (process.Proc.Exists)
        {
            _zombies.Add(process.Pid);
        }

        process.Dispose();
        _processes.RemoveAt(index);
    }

    // Who lost its parent in the meantime to a process outside is no part of the tree any more. Everybody stands: the order can be settled now.
    private void ReleaseStrays()
    {
        Dictionary<int, int> parents = Workers.Map(_processes, p => (p.Pid, Parent: ProcStat.Read(p.Proc).ParentPid)).ToDictionary(p => p.Pid, p => p.Parent);
        Dictionary<int, int> depths = new() { [_root] = 0 };
        List<FrozenProcess> inside = [];
        foreach (FrozenProcess process in _processes)
        {
            if (DepthOf(process.Pid, parents, depths) >= 0)
            {
                inside.Add(process);
            }
            else
            {
                process.Release();
                process.Dispose();
            }
        }

        _processes.Clear();
        _processes.AddRange(inside.OrderBy(p => depths[p.Pid]));
        _zombies.RemoveWhere(pid => !BelongsHere(pid, depths));
    }

    private static int DepthOf(int pid, Dictionary<int, int> parents, Dictionary<int, int> depths)
    {
        if (depths.TryGetValue(pid, out int known))
        {
            return known;
        }

        int above = parents.TryGetValue(pid, out int parent) ? DepthOf(parent, parents, depths) : -1;
        return depths[pid] = above < 0 ? -1 : above + 1;
    }

    private static bool BelongsHere(int zombie, Dictionary<int, int> depths)
    {
        try
        {
            using ProcDirectory proc = new(zombie);
            return depths.GetValueOrDefault(ProcStat.Read(proc).ParentPid, -1) >= 0;
        }
        catch (CriuException e) when (e.Id == "ProcessGone")
        {
            return false;
        }
    }
}
