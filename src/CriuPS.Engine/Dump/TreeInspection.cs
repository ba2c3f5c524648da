using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects.Family;
using CriuPS.Engine.Objects.Files;
using CriuPS.Engine.Objects.Sockets;
using CriuPS.Engine.Options;
using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Dump;

/// <summary>
/// Everything that /proc tells of a tree, and every reason in it why it cannot be dumped: those of each process, and those that only show when
/// all are seen together.
/// </summary>
internal sealed class TreeInspection
{
    private const int MostLooks = 5;

    private readonly List<Inspection> _processes = [];
    private readonly List<ProcStat> _zombies = [];
    private readonly DumpOptions _options;
    private readonly bool _frozen;
    private bool _changed;
    private readonly OwnNamespaces _own = new();
    private bool _isGlance;

    private TreeInspection(DumpOptions options, bool frozen) => (_options, _frozen) = (options, frozen);

    /// <summary>The living processes, parents before their children.</summary>
    public IReadOnlyList<Inspection> Processes => _processes;

    /// <summary>Those that have ended and wait for their parents.</summary>
    public IReadOnlyList<ProcStat> Zombies => _zombies;

    /// <summary>Who will give birth to whom; null where there is no process.</summary>
    public FamilyPlan? Plan { get; private set; }

    /// <summary>The descriptors of all processes.</summary>
    public TreeFiles Files { get; private set; } = TreeFiles.None;

    /// <summary>Whether the tree lives in another time namespace than this process.</summary>
    public bool HasOwnTime => _processes is [{ TimeNamespace: { } time }, ..] && time != _own.Time;

    /// <summary>Every reason not to dump the tree.</summary>
    public IReadOnlyList<Refusal> Refusals { get; private set; } = [];

    /// <summary>Looks at a tree that runs on: it may change meanwhile, and who ends in between is left out.</summary>
    /// <returns>Every reason not to dump it.</returns>
    public static IReadOnlyList<Refusal> LookAtRunning(DumpOptions options) =>
        LookAtRunning(options, isGlance: false).Refusals;

    /// <summary>
    /// Glances at a tree that runs on, to see whether it may well be one that cannot be dumped. Who freezes it next looks at all of it then, and can let it
    /// go again; but what stands still for a moment for nothing is disturbed nevertheless.
    /// </summary>
    public static TreeInspection Glance(DumpOptions options) => LookAtRunning(options, isGlance: true);

    /// <summary>Whether, after a glance, a look is worth its time.</summary>
    public bool IsDoubtful => Refusals.Count > 0 || _processes.Exists(process => process.IsDoubtful);

    /// <summary>How many numbers the largest table of descriptors has room for.</summary>
    public int LargestTable => _processes.Select(process => process.Status.DescriptorTableSize).DefaultIfEmpty().Max();

    private static TreeInspection LookAtRunning(DumpOptions options, bool isGlance)
    {
        TreeInspection tree;
        int looks = 0;
        do
        {
            tree = LookOnce(options, isGlance);
        }
        while (tree._changed && tree.Refusals.Count > 0 && ++looks < MostLooks);

        return tree;
    }

    // Who ends meanwhile may be missed by others, as the leader of their session: then only another look tells.
    private static TreeInspection LookOnce(DumpOptions options, bool isGlance)
    {
        TreeInspection tree = new(options, frozen: false) { _isGlance = isGlance };
        List<ProcDirectory> directories = [new ProcDirectory(options.Pid)];
        try
        {
            HashSet<int> seen = [options.Pid];
            for (int i = 0; i < directories.Count; i++)
            {
                directories.AddRange(tree.ChildrenOf(directories[i]).Where(seen.Add).SelectMany(Open));
            }

            tree._processes.AddRange(Workers.Map(directories, proc => tree.LookAt(proc)).OfType<Inspection>());
            tree.LookTogether();
            return tree;
        }
        finally
        {
            directories.ForEach(d => d.Dispose());
        }
    }

    /// <summary>Looks at a tree that stands still.</summary>
    /// <param name="processes">The living processes, parents before their children.</param>
    /// <param name="zombies">Those that have ended.</param>
    /// <param name="options">What the dump is asked to do.</param>
    /// <param name="files">The question about open files; null for none.</param>
    public static TreeInspection Of(IReadOnlyList<ProcDirectory> processes, IEnumerable<int> zombies, DumpOptions options, FileStructs? files)
    {
        TreeInspection tree = new(options, frozen: true);
        tree._processes.AddRange(Workers.Map(processes, proc => Inspection.Of(proc, options, tree._own, frozen: true, files)));
        foreach (int pid in zombies)
        {
            using ProcDirectory proc = new(pid);
            tree._zombies.Add(ProcStat.Read(proc));
        }

        tree.LookTogether();
        return tree;
    }

    private List<int> ChildrenOf(ProcDirectory proc)
    {
        try
        {
            return _isGlance ? ProcTasks.ListChildrenOfLeader(proc) : ProcTasks.ListChildren(proc);
        }
        catch (CriuException e) when (HasEnded(proc, e))
        {
            return [];
        }
    }

    private Inspection? LookAt(ProcDirectory proc)
    {
        try
        {
            ProcStat stat = ProcStat.Read(proc);
            if (proc.Pid == _options.Pid || !stat.IsZombie || stat.Threads > 1)
            {
                Inspection inspection = _isGlance ? Inspection.Glance(proc, stat, _options, _own) : Inspection.Of(proc, _options, _own, frozen: false);
                if (proc.Pid == _options.Pid || inspection.Stat is not { IsZombie: true, Threads: <= 1 })
                {
                    return inspection;
                }

                stat = inspection.Stat;
            }

            lock (_zombies)
            {
                _zombies.Add(stat);
            }
        }
        catch (CriuException e) when (HasEnded(proc, e))
        {
            // It ended meanwhile, or is about to: its memory goes before it does.
            _changed = true;
        }

        return null;
    }

    private bool HasEnded(ProcDirectory proc, CriuException e) => proc.Pid != _options.Pid && (e.Errno == Errno.ESRCH || HasEnded(proc));

    private static IEnumerable<ProcDirectory> Open(int pid)
    {
        try
        {
            return [new ProcDirectory(pid)];
        }
        catch (CriuException e) when (e.Id == "ProcessGone")
        {
            return [];
        }
    }

    private static bool HasEnded(ProcDirectory proc)
    {
        try
        {
            return !proc.Exists || ProcStat.Read(proc).IsZombie;
        }
        catch (CriuException e) when (e.Id is "ProcessGone" or "ProcFileMissing")
        {
            return true;
        }
    }

    private void LookTogether()
    {
        List<OpenFile> files = [.. _processes.SelectMany(p => p.Files)];
        UnixSockets sockets = new();

        // A process that runs would see its sockets being looked into.
        SocketQueues queues = _frozen ? SocketQueues.Read(files, sockets, _options.FinalState == FinalState.Kill) : SocketQueues.None;
        Files = new TreeFiles([.. files, .. queues.Files], [.. _processes.Select(p => p.Stat), .. _zombies], _options.ShellJob)
        {
            Sockets = sockets, Queues = queues, SocketsMayEndOutside = _options.ExternalUnixSockets,
            Rings = [.. _processes.SelectMany(p => p.Rings.Select(ring => (p.Stat.Pid, ring)))],
            External = [.. _options.External, .. _options.ExternalUnixSocketInodes.Select(inode => $"unix[{inode}]")], PipesMayEndOutside = _options.PipesMayEndOutside,
        };
        foreach (Inspection process in _processes)
        {
            try
            {
                process.CheckFiles(Files);
            }
            catch (KernelException e) when (!_frozen && e.Errno is Errno.ESRCH or Errno.EBADF)
            {
                // It ended, or closed the file, since it was looked at.
            }
        }

        if (_processes.Count > 0)
        {
            LookAtFamily();
        }

        Refusals = [.. _processes.SelectMany(p => p.Refusals)];
    }

    private void LookAtFamily()
    {
        Inspection root = _processes[0];
        LookAtRoot(root);
        foreach (Inspection process in _processes.Where(p => p.TimeNamespace is { } time && time != root.TimeNamespace))
        {
            process.Refuse($"namespace {process.TimeNamespace}", $"it is another one than that of process {root.Stat.Pid}", "dump a tree that lives in one time namespace");
        }

        Dictionary<int, Inspection> living = _processes.ToDictionary(p => p.Stat.Pid);
        List<FamilyMember> members = [.. Members()];

        // Who got another parent while all ran is missed in the plan, and so are its descendants: then only another look tells.
        _changed |= !members.Skip(1).All(m => living.ContainsKey(m.Parent));
        FamilyPlan plan = Plan = FamilyPlan.Of(members);
        foreach (FamilyObjection objection in plan.Objections)
        {
            living.GetValueOrDefault(objection.Pid, root).Refuse(objection.Subject, objection.Reason, objection.Remedy);
        }

        // Who has the number of a dead leader lives in a restore for a moment: a number that somebody outside has is that of a living leader.
        foreach (FamilyMember helper in plan.Helpers.Where(h => ProcessExists(h.Pid)))
        {
            bool session = helper.IsSessionLeader;
            foreach (Inspection member in _processes.Where(p => (session ? p.Stat.Session : p.Stat.ProcessGroup) == helper.Pid))
            {
                member.Refuse(
                    session ? "session" : "process group",
                    $"it belongs to {(session ? "session" : "group")} {helper.Pid}, whose leader is not dumped with it",
                    "dump the tree of that leader");
            }
        }
    }

    private void LookAtRoot(Inspection root)
    {
        if (_options.ShellJob)
        {
            return;
        }

        ProcStat stat = root.Stat;
        if (stat.Session != stat.Pid)
        {
            root.Refuse("session", $"it belongs to session {stat.Session}, which is not dumped with it", "use -ShellJob, or start it with setsid");
        }
        else if (stat.ProcessGroup != stat.Pid)
        {
            root.Refuse("process group", $"it belongs to group {stat.ProcessGroup}, which is not dumped with it", "use -ShellJob");
        }
    }

    private IEnumerable<FamilyMember> Members()
    {
        int root = _options.Pid;
        return _processes.Select(p => p.Stat).Concat(_zombies)
            .Select(s => new FamilyMember(s.Pid, s.Pid == root ? 0 : s.ParentPid, s.Session, s.ProcessGroup, s.IsZombie));
    }

    private static bool ProcessExists(int pid)
    {
        try
        {
            using ProcDirectory proc = new(pid);
            return true;
        }
        catch (CriuException e) when (e.Id == "ProcessGone")
        {
            return false;
        }
    }
}
