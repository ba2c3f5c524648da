namespace CriuPS.Engine.Objects.Family;

/// <summary>
/// In which sessions processes must be born. A process calls setsid(2) once at most, so it has been in two sessions or one: that which it was born in, and its own.
/// A child in a session that is not its parent's shows that the parent was born in it too, or that the child came as an orphan from somebody in
/// it below. Where the session's leader lives, only one of both is possible. Who stands for a dead leader may be put below any of those who
/// have such children, and everyone who is not above it then was born in the session: that is a choice, and choices can be in each other's way.
/// </summary>
internal sealed class BirthSessions
{
    private const int MostTries = 10_000;
    private const string Unreachable = "no order of births leads to it";

    private readonly Kinship _kin;
    private readonly Dictionary<int, List<int>> _askers = [];
    private readonly Dictionary<int, int> _bornIn = [], _hosts = [];
    private readonly Stack<int> _forced = new();
    private readonly List<Choice> _choices = [];
    private readonly List<FamilyObjection> _objections = [];
    private int _tries, _furthest;
    private bool _hasChosen;

    public BirthSessions(Kinship kin)
    {
        _kin = kin;
        foreach (FamilyMember child in kin.Members.Skip(1).Where(m => !m.IsSessionLeader && kin[m.Parent].Session != m.Session))
        {
            if (!_askers.TryGetValue(child.Session, out List<int>? parents))
            {
                parents = _askers[child.Session] = [];
            }

            if (parents is not [.., var last] || last != child.Parent)
            {
                parents.Add(child.Parent);
            }
        }

        SettleLiving();
        FindChoices();
    }

    /// <summary>What cannot be.</summary>
    public IReadOnlyList<FamilyObjection> Objections => _objections;

    /// <summary>The sessions whose leader is dead, and the parent of who stands for it.</summary>
    public IEnumerable<KeyValuePair<int, int>> Hosts => _hosts;

    /// <summary>The session that a process must be born in; 0 where it does not matter.</summary>
    public int Of(FamilyMember member) => member.IsSessionLeader ? _bornIn.GetValueOrDefault(member.Pid) : member.Session;

    /// <summary>Makes the first choice, or another one than before, in which nobody is born in two sessions.</summary>
    /// <returns>Whether there is one; if not, the objections say whose fault that is.</returns>
    public bool Choose()
    {
        if (_objections.Count > 0)
        {
            return false;
        }

        int at = _hasChosen ? _choices.Count - 1 : 0;
        _hasChosen = true;
        while (at >= 0 && at < _choices.Count && _tries <= MostTries)
        {
            _furthest = Math.Max(_furthest, at);
            at = TryNext(_choices[at]) ? at + 1 : at - 1;
        }

        bool found = at == _choices.Count;
        if (!found && _choices.Count > 0)
        {
            int session = _choices[_furthest].Session;
            _askers[session].ForEach(parent => Object(session, parent));
        }

        return found;
    }

    /// <summary>Says that nothing leads to a process.</summary>
    public static FamilyObjection Objection(FamilyMember member, string? reason = null) => new(
        member.Pid, $"session {member.Session}", reason is null ? Unreachable : $"{reason}, and {Unreachable}",
        "dump a tree that begins further up, or let the program keep its sessions apart");

    // A session is not entered from outside: one whose leader lives begins with it, and one that is older than the tree with the root.
    private void SettleLiving()
    {
        foreach ((int session, List<int> parents) in _askers.Where(a => IsOutside(a.Key) || _kin.Contains(a.Key)))
        {
            foreach (int parent in parents.Where(parent => !Accept(parent, session)))
            {
                Object(session, parent);
            }
        }

        _forced.Clear();
    }

    private void FindChoices()
    {
        foreach ((int session, List<int> parents) in _askers.Where(a => !IsOutside(a.Key) && !_kin.Contains(a.Key)))
        {
            // Who stands for the leader must be there before everyone who is born in the session.
            List<int> hosts = [.. parents.Where(p => _kin.Upwards(p).All(m => m.Session != session)).OrderByDescending(_kin.Depth)];
            _choices.Add(new Choice(session, hosts));
            _hosts.Add(session, parents[0]);
        }

        _choices.Sort((one, other) => one.Hosts.Count.CompareTo(other.Hosts.Count));
    }

    private bool TryNext(Choice choice)
    {
        if (choice.Next == 0)
        {
            choice.Mark = _forced.Count;
        }

        while (choice.Next < choice.Hosts.Count)
        {
            TakeBack(choice.Mark);
            _tries++;
            _hosts[choice.Session] = choice.Hosts[choice.Next++];
            if (_askers[choice.Session].TrueForAll(parent => Accept(parent, choice.Session)))
            {
                return true;
            }
        }

        TakeBack(choice.Mark);
        choice.Next = 0;
        return false;
    }

    // Whether a process may have a child in a session. If that takes its own birth in it, its parent has such a child, too.
    private bool Accept(int parent, int session)
    {
        while (true)
        {
            FamilyMember member = _kin[parent];
            int born = _bornIn.GetValueOrDefault(parent);
            if (member.Session == session || born == session || ComesFromBelow(parent, session))
            {
                return true;
            }

            if (!member.IsSessionLeader || parent == _kin.Root.Pid || born != 0)
            {
                return false;
            }

            _bornIn[parent] = session;
            _forced.Push(parent);
            parent = member.Parent;
        }
    }

    private bool ComesFromBelow(int parent, int session) => !IsOutside(session)
        && (_kin.Contains(session) ? _kin.IsBelow(session, parent) : _hosts[session] == parent || _kin.IsBelow(_hosts[session], parent));

    private bool IsOutside(int session) => session == _kin.Root.Session && session != _kin.Root.Pid;

    private void TakeBack(int mark)
    {
        while (_forced.Count > mark)
        {
            _bornIn.Remove(_forced.Pop());
        }
    }

    private void Object(int session, int parent) => _objections.AddRange(_kin.Members.Where(m => m.Parent == parent && m.Session == session && m.Pid != session)
        .Select(child => Objection(child, $"its parent {parent} cannot have been in that session")));

    private sealed class Choice(int session, List<int> hosts)
    {
        public int Session => session;

        public List<int> Hosts => hosts;

        public int Next { get; set; }

        public int Mark { get; set; }
    }
}
