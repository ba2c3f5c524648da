using CriuPS.Engine.Objects.Family;
using Xunit;

namespace CriuPS.Tests.Objects;

/// <summary>Processes as fork(2), setsid(2), setpgid(2), exit(2) and child subreapers (prctl(2)) know them: their kinship and numbers, and nothing else.</summary>
internal sealed class FamilyModel
{
    private const int Outside = 0, Caller = 1;

    private readonly Dictionary<int, Process> _processes = [];

    /// <summary>Begins with a process that a caller made, in the caller's session and group.</summary>
    public FamilyModel(int root, int session, int group)
    {
        _processes.Add(Caller, new Process(Caller, Outside, session, group));
        _processes.Add(root, new Process(root, Outside, session, group));
    }

    public void Fork(int creator, int child, bool sibling = false)
    {
        Assert.DoesNotContain(_processes.Values, p => p.Pid == child || p.Session == child || p.Group == child);
        Process by = _processes[creator];
        Assert.False(by.IsZombie);
        _processes.Add(child, new Process(child, sibling ? by.Parent : creator, by.Session, by.Group));
    }

    public bool Setsid(int pid)
    {
        Process process = _processes[pid];
        if (_processes.Values.Any(p => p.Group == pid))
        {
            return false;
        }

        (process.Session, process.Group) = (pid, pid);
        return true;
    }

    public bool Setpgid(int pid, int group)
    {
        Process process = _processes[pid];
        bool exists = group == pid || _processes.Values.Any(p => p.Group == group && p.Session == process.Session);
        if (process.Session == pid || !exists)
        {
            return false;
        }

        process.Group = group;
        return true;
    }

    public void SetSubreaper(int pid, bool value) => _processes[pid].IsSubreaper = value;

    public void Exit(int pid)
    {
        _processes[pid].IsZombie = true;
        int heir = _processes[pid].Parent;
        while (heir != Outside && !_processes[heir].IsSubreaper)
        {
            heir = _processes[heir].Parent;
        }

        foreach (Process child in _processes.Values.Where(p => p.Parent == pid).ToList())
        {
            child.Parent = heir;
        }
    }

    public void Reap(int pid) => _processes.Remove(pid);

    /// <summary>A process and its descendants, parents before their children.</summary>
    public IReadOnlyList<FamilyMember> Family(int root)
    {
        List<Process> family = [_processes[root]];
        for (int i = 0; i < family.Count; i++)
        {
            family.AddRange(_processes.Values.Where(p => p.Parent == family[i].Pid).OrderBy(p => p.Pid));
        }

        return [.. family.Select(p => new FamilyMember(p.Pid, p.Pid == root ? 0 : p.Parent, p.Session, p.Group, p.IsZombie))];
    }

    /// <summary>Does what a restore does with a plan, and tells whom that makes.</summary>
    public static IReadOnlyList<FamilyMember> Made(FamilyPlan plan, FamilyMember root)
    {
        bool leads = root.IsSessionLeader;
        FamilyModel model = new(root.Pid, leads ? int.MaxValue : root.Session, leads || plan.Knows(root.Group) ? int.MaxValue : root.Group);
        for (List<int> generation = [root.Pid]; generation.Count > 0;)
        {
            List<int> next = [.. generation.SelectMany(creator => model.Bear(plan, creator))];
            foreach (PlannedBirth birth in generation.SelectMany(plan.BirthsBy).Where(b => b.Way == BirthWay.Orphan))
            {
                next.Add(model.BearOrphan(birth));
            }

            generation = next;
        }

        foreach ((int pid, int group) in plan.Groupings())
        {
            Assert.True(model.Setpgid(pid, group), $"setpgid({pid}, {group})");
        }

        foreach (FamilyMember helper in plan.Helpers.Reverse())
        {
            Assert.Equal(helper.Parent, model._processes[helper.Pid].Parent);
            Assert.DoesNotContain(model._processes.Values, p => p.Parent == helper.Pid);
            model.Reap(helper.Pid);
        }

        return model.Family(root.Pid);
    }

    private IEnumerable<int> Bear(FamilyPlan plan, int creator)
    {
        List<PlannedBirth> births = [.. plan.BirthsBy(creator).Where(b => b.Way != BirthWay.Orphan)];
        foreach (PlannedBirth birth in births.Where(b => b.BeforeSetsid))
        {
            Fork(creator, birth.Child.Pid);
        }

        if (plan[creator].IsSessionLeader)
        {
            Assert.True(Setsid(creator), $"setsid of {creator}");
        }

        foreach (PlannedBirth birth in births.Where(b => !b.BeforeSetsid))
        {
            Fork(creator, birth.Child.Pid, birth.Way == BirthWay.Sibling);
        }

        return births.Select(b => b.Child.Pid);
    }

    private int BearOrphan(PlannedBirth birth)
    {
        const int throwaway = -1;
        SetSubreaper(birth.Child.Parent, true);
        Fork(birth.Creator, throwaway);
        Fork(throwaway, birth.Child.Pid);
        Exit(throwaway);
        Reap(throwaway);
        SetSubreaper(birth.Child.Parent, false);
        return birth.Child.Pid;
    }

    private sealed class Process(int pid, int parent, int session, int group)
    {
        public int Pid => pid;

        public int Parent { get; set; } = parent;

        public int Session { get; set; } = session;

        public int Group { get; set; } = group;

        public bool IsSubreaper { get; set; }

        public bool IsZombie { get; set; }
    }
}
