namespace CriuPS.Engine.Objects.Family;

/// <summary>
/// Who gives birth to whom, and when, so that at the end every process has its parent, session and group again. The kernel lets nobody enter a
/// session from outside: it is inherited at birth or made by setsid(2), credentials(7). So a child in another session than its parent's was
/// born before the parent called setsid, or came as an orphan from below; and a session or group whose leader is dead needs one for the moment.
/// </summary>
internal sealed class FamilyPlan
{
    private const string Unreachable = "no order of births leads to it";

    private readonly Dictionary<int, FamilyMember> _members = [];
    private readonly ILookup<int, FamilyMember> _children;
    private readonly Dictionary<int, int> _bornIn = [], _groupAtBirth = [];
    private readonly Dictionary<int, List<PlannedBirth>> _births = [];
    private readonly List<FamilyMember> _helpers = [];
    private readonly List<FamilyObjection> _objections = [];
    private readonly FamilyMember _root;

    private FamilyPlan(IReadOnlyList<FamilyMember> members)
    {
        _root = members[0];
        foreach (FamilyMember member in members)
        {
            _members.Add(member.Pid, member);
        }

        _children = members.ToLookup(m => m.Parent);
        foreach (FamilyMember member in members.Reverse())
        {
            _bornIn[member.Pid] = member.IsSessionLeader ? DemandedBy(member) : member.Session;
        }

        foreach (FamilyMember member in members.Skip(1))
        {
            Place(member);
        }

        foreach (FamilyMember member in members)
        {
            PlaceGroup(member);
        }

        FollowBirths(members);
    }

    /// <summary>Plans a family.</summary>
    /// <param name="members">All processes, parents before their children, the root first.</param>
    public static FamilyPlan Of(IReadOnlyList<FamilyMember> members) => new(members);

    /// <summary>What cannot be made; the plan is of use only if there is nothing.</summary>
    public IReadOnlyList<FamilyObjection> Objections => _objections;

    /// <summary>Who lives during a restore only.</summary>
    public IReadOnlyList<FamilyMember> Helpers => _helpers;

    /// <summary>Whether a number is that of a member or of a helper.</summary>
    public bool Knows(int pid) => _members.ContainsKey(pid);

    public FamilyMember this[int pid] => _members[pid];

    /// <summary>The births that a process gives, those before its setsid first.</summary>
    public IReadOnlyList<PlannedBirth> BirthsBy(int pid) => _births.GetValueOrDefault(pid) ?? [];

    /// <summary>
    /// The calls of setpgid(2) that are needed, in an order in which each finds its group: first those that make a group, last those who made one and moved on.
    /// </summary>
    public IEnumerable<(int Pid, int Group)> Groupings()
    {
        HashSet<int> used = [.. _members.Values.Select(m => m.Group)];
        foreach (FamilyMember member in _members.Values.Where(m => !m.IsSessionLeader && used.Contains(m.Pid)))
        {
            yield return (member.Pid, member.Pid);
        }

        foreach (FamilyMember member in _members.Values.Where(m => m.Group != m.Pid && Knows(m.Group)).OrderBy(m => used.Contains(m.Pid)))
        {
            if (used.Contains(member.Pid) || _groupAtBirth[member.Pid] != member.Group)
            {
                yield return (member.Pid, member.Group);
            }
        }
    }

    // In which session a session's leader must have been born, because of children that it had before; 0 where it does not matter.
    private int DemandedBy(FamilyMember leader)
    {
        foreach (FamilyMember child in _children[leader.Pid])
        {
            int wanted = _bornIn[child.Pid];
            if (wanted != 0 && wanted != leader.Pid && !IsBelow(wanted, leader.Pid) && HasAncestorIn(leader, wanted))
            {
                return wanted;
            }
        }

        return 0;
    }

    private void Place(FamilyMember child)
    {
        int wanted = _bornIn[child.Pid];
        FamilyMember parent = _members[child.Parent];
        if (wanted == 0 || wanted == parent.Session)
        {
            Add(new PlannedBirth(child, parent.Pid, BeforeSetsid: false, BirthWay.Child));
        }
        else if (parent.IsSessionLeader && wanted == _bornIn[parent.Pid])
        {
            Add(new PlannedBirth(child, parent.Pid, BeforeSetsid: true, BirthWay.Child));
        }
        else if (_members.TryGetValue(wanted, out FamilyMember leader) && !leader.IsHelper)
        {
            PlaceOrphan(child, leader);
        }
        else if (wanted == _root.Session)
        {
            Object(child, $"session {wanted}", $"its parent has left that session, and {Unreachable}");
        }
        else
        {
            PlaceWithHelper(child, wanted);
        }
    }

    private void PlaceOrphan(FamilyMember child, FamilyMember creator)
    {
        if (IsBelow(creator.Pid, child.Parent))
        {
            Add(new PlannedBirth(child, creator.Pid, BeforeSetsid: false, BirthWay.Orphan));
        }
        else
        {
            Object(child, $"session {creator.Pid}", $"its parent {child.Parent} is not in that session, and {Unreachable}");
        }
    }

    // The leader is dead. A helper in its place is a child of the deepest of those who have children in the session without being in it.
    private void PlaceWithHelper(FamilyMember child, int session)
    {
        if (!_members.TryGetValue(session, out FamilyMember helper))
        {
            int parent = _members.Values.Where(m => _bornIn.GetValueOrDefault(m.Pid) == session && m.Parent != 0 && _members[m.Parent].Session != session)
                .Select(m => m.Parent).MaxBy(Depth);
            helper = new FamilyMember(session, parent, session, session, IsHelper: true);
            AddHelper(helper, parent);
        }

        if (helper.Parent == child.Parent)
        {
            Add(new PlannedBirth(child, helper.Pid, BeforeSetsid: false, BirthWay.Sibling));
        }
        else
        {
            PlaceOrphan(child, helper);
        }
    }

    // A group without a leader: a child of a member makes it and keeps it until the members have joined.
    private void PlaceGroup(FamilyMember member)
    {
        bool outside = member.Group == _root.Group && _root.Group != _root.Pid;
        if (outside && member.Session != _root.Session)
        {
            Object(member, $"process group {member.Group}", "it is in another session than its group");
        }

        if (outside || Knows(member.Group))
        {
            return;
        }

        FamilyMember host = _members.Values.Where(m => m.Group == member.Group).OrderBy(m => m.IsZombie).First();
        AddHelper(new FamilyMember(member.Group, host.Pid, host.Session, member.Group, IsHelper: true), host.Pid);
    }

    private void AddHelper(FamilyMember helper, int parent)
    {
        _helpers.Add(helper);
        _members.Add(helper.Pid, helper);
        Add(new PlannedBirth(helper, parent, BeforeSetsid: false, BirthWay.Child));
    }

    private void Add(PlannedBirth birth)
    {
        if (!_births.TryGetValue(birth.Creator, out List<PlannedBirth>? births))
        {
            births = _births[birth.Creator] = [];
        }

        births.Insert(birth.BeforeSetsid ? births.Count(b => b.BeforeSetsid) : births.Count, birth);
    }

    private void FollowBirths(IReadOnlyList<FamilyMember> members)
    {
        HashSet<int> reached = [_root.Pid];
        Queue<int> waiting = new(reached);
        _groupAtBirth[_root.Pid] = _root.Group == _root.Pid ? 0 : _root.Group;
        while (waiting.TryDequeue(out int creator))
        {
            int group = _members[creator].IsSessionLeader ? creator : _groupAtBirth[creator];
            foreach (PlannedBirth birth in BirthsBy(creator).Where(b => reached.Add(b.Child.Pid)))
            {
                _groupAtBirth[birth.Child.Pid] = birth.BeforeSetsid ? _groupAtBirth[creator] : group;
                waiting.Enqueue(birth.Child.Pid);
            }
        }

        foreach (FamilyMember member in members.Where(m => !reached.Contains(m.Pid) && !_objections.Any(o => o.Pid == m.Pid)))
        {
            Object(member, $"session {member.Session}", Unreachable);
        }
    }

    private void Object(FamilyMember member, string subject, string reason) =>
        _objections.Add(new FamilyObjection(member.Pid, subject, reason, "dump a tree that begins further up, or let the program keep its sessions apart"));

    private bool HasAncestorIn(FamilyMember member, int session)
    {
        for (int pid = member.Parent; _members.TryGetValue(pid, out FamilyMember above); pid = above.Parent)
        {
            if (above.Session == session)
            {
                return true;
            }
        }

        return false;
    }

    private bool IsBelow(int pid, int ancestor)
    {
        for (int at = pid; _members.TryGetValue(at, out FamilyMember member); at = member.Parent)
        {
            if (member.Parent == ancestor)
            {
                return true;
            }
        }

        return false;
    }

    private int Depth(int pid)
    {
        int depth = 0;
        for (int at = pid; _members.TryGetValue(at, out FamilyMember member); at = member.Parent)
        {
            depth++;
        }

        return depth;
    }
}
