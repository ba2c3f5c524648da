namespace CriuPS.Engine.Objects.Family;

/// <summary>
/// Who gives birth to whom, and when, so that at the end every process has its parent, session and group again. The kernel lets nobody enter a
/// session from outside: it is inherited at birth or made by setsid(2), credentials(7). So a child in another session than its parent's was
/// born before the parent called setsid, or came as an orphan from below; and a session or group whose leader is dead needs one for the moment.
/// </summary>
internal sealed class FamilyPlan
{
    private readonly Dictionary<int, FamilyMember> _members;
    private readonly Dictionary<int, int> _groupAtBirth = [];
    private readonly Dictionary<int, List<PlannedBirth>> _births = [];
    private readonly List<FamilyMember> _helpers = [];
    private readonly List<FamilyObjection> _objections = [];
    private readonly FamilyMember _root;
    private readonly int _outside;

    private FamilyPlan(Kinship kin, BirthSessions sessions)
    {
        _root = kin.Root;
        _members = kin.Members.ToDictionary(m => m.Pid);
        _outside = kin.Contains(_root.Group) ? 0 : _root.Group;
        foreach ((int session, int host) in sessions.Hosts)
        {
            AddHelper(new FamilyMember(session, host, session, session, IsHelper: true), host);
        }

        foreach (FamilyMember member in kin.Members.Skip(1))
        {
            Place(member, sessions.Of(member), sessions.Of(_members[member.Parent]));
        }

        foreach (FamilyMember member in kin.Members)
        {
            PlaceGroup(member);
        }

        FollowBirths();
    }

    /// <summary>Plans a family.</summary>
    /// <param name="members">All processes, parents before their children, the root first.</param>
    public static FamilyPlan Of(IReadOnlyList<FamilyMember> members)
    {
        Kinship kin = new(members);
        BirthSessions sessions = new(kin);
        while (sessions.Choose())
        {
            FamilyPlan plan = new(kin, sessions);
            if (kin.Members.All(m => plan._groupAtBirth.ContainsKey(m.Pid)))
            {
                return plan;
            }
        }

        FamilyPlan broken = new(kin, sessions);
        broken._objections.AddRange(sessions.Objections);
        IEnumerable<FamilyMember> missed = kin.Members.Where(m => !broken._groupAtBirth.ContainsKey(m.Pid));
        broken._objections.AddRange(missed.Where(m => broken._objections.TrueForAll(o => o.Pid != m.Pid)).Select(m => BirthSessions.Objection(m)));
        return broken;
    }

    /// <summary>What cannot be made; the plan is of use only if there is nothing.</summary>
    public IReadOnlyList<FamilyObjection> Objections => _objections;

    /// <summary>Who lives during a restore only.</summary>
    public IReadOnlyList<FamilyMember> Helpers => _helpers;

    /// <summary>Whether a number is that of a member or of a helper.</summary>
    public bool Knows(int pid) => _members.ContainsKey(pid);

    public FamilyMember this[int pid] => _members[pid];

    /// <summary>The births that a process gives, those before its setsid first.</summary>
    public IReadOnlyList<PlannedBirth> BirthsBy(int pid) => _births.GetValueOrDefault(pid) ?? [];

    /// <summary>Whether a process is born by its own parent: only then can it share tables with it, clone(2).</summary>
    public bool IsBornByParent(int pid) => BirthsBy(this[pid].Parent).Any(birth => birth.Child.Pid == pid);

    /// <summary>
    /// The calls of setpgid(2) that are needed, in an order in which each finds its group: first those that make a group, last those who made one and moved on.
    /// A group that nobody in here knows is the caller's, who has another one now.
    /// </summary>
    public IEnumerable<(int Pid, int Group)> Groupings()
    {
        HashSet<int> used = [.. _members.Values.Select(m => m.Group)];
        foreach (FamilyMember member in _members.Values.Where(m => !m.IsSessionLeader && used.Contains(m.Pid)))
        {
            yield return (member.Pid, member.Pid);
        }

        foreach (FamilyMember member in _members.Values.Where(m => m.Group != m.Pid).OrderBy(m => used.Contains(m.Pid)))
        {
            if (used.Contains(member.Pid) || _groupAtBirth[member.Pid] != member.Group)
            {
                yield return (member.Pid, member.Group);
            }
        }
    }

    // Who is born in another session than its parent ends up in comes before the parent leaves that session, or from below.
    private void Place(FamilyMember child, int session, int parents)
    {
        FamilyMember parent = _members[child.Parent];
        if (session == 0 || session == parent.Session)
        {
            Add(new PlannedBirth(child, parent.Pid, BeforeSetsid: false, BirthWay.Child));
        }
        else if (session == parents)
        {
            Add(new PlannedBirth(child, parent.Pid, BeforeSetsid: true, BirthWay.Child));
        }
        else if (_members.TryGetValue(session, out FamilyMember leader))
        {
            bool beside = leader.IsHelper && leader.Parent == child.Parent;
            Add(new PlannedBirth(child, session, BeforeSetsid: false, beside ? BirthWay.Sibling : BirthWay.Orphan));
        }
    }

    // A group without a leader: a child of a member makes it and keeps it until the members have joined.
    private void PlaceGroup(FamilyMember member)
    {
        bool outside = member.Group == _outside;
        if (outside && member.Session != _root.Session)
        {
            _objections.Add(new FamilyObjection(
                member.Pid, $"process group {member.Group}", "it is in another session than its group", "dump a tree that begins further up"));
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

    // Finds out who is born at all, and in which group.
    private void FollowBirths()
    {
        Queue<int> waiting = new([_root.Pid]);
        _groupAtBirth[_root.Pid] = _outside;
        while (waiting.TryDequeue(out int creator))
        {
            int before = _groupAtBirth[creator];
            foreach (PlannedBirth birth in BirthsBy(creator))
            {
                bool inGroup = birth.BeforeSetsid || !_members[creator].IsSessionLeader;
                if (_groupAtBirth.TryAdd(birth.Child.Pid, inGroup ? before : creator))
                {
                    waiting.Enqueue(birth.Child.Pid);
                }
            }
        }
    }
}
