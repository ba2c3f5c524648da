namespace CriuPS.Engine.Objects.Family;

/// <summary>Who is below whom in a family: a walk from the root gives everyone a number, and all below someone have the numbers that follow on its own.</summary>
internal sealed class Kinship
{
    private readonly Dictionary<int, Place> _places = [];
    private readonly List<FamilyMember> _members = [];

    /// <param name="members">The members, the root first. Whom no parents lead to from the root is left out.</param>
    public Kinship(IReadOnlyList<FamilyMember> members)
    {
        ILookup<int, FamilyMember> children = members.Skip(1).ToLookup(m => m.Parent);
        Stack<FamilyMember> waiting = new([members[0]]);
        while (waiting.TryPop(out FamilyMember member))
        {
            _places.Add(member.Pid, new Place(_members.Count, _places.TryGetValue(member.Parent, out Place above) ? above.Depth + 1 : 0));
            _members.Add(member);
            foreach (FamilyMember child in children[member.Pid].Reverse())
            {
                waiting.Push(child);
            }
        }

        int[] sizes = new int[_members.Count];
        for (int i = sizes.Length - 1; i >= 0; i--)
        {
            FamilyMember member = _members[i];
            _places[member.Pid] = _places[member.Pid] with { Size = ++sizes[i] };
            if (i > 0)
            {
                sizes[_places[member.Parent].Number] += sizes[i];
            }
        }
    }

    /// <summary>All members, parents before their children.</summary>
    public IReadOnlyList<FamilyMember> Members => _members;

    public FamilyMember Root => _members[0];

    public FamilyMember this[int pid] => _members[_places[pid].Number];

    public bool Contains(int pid) => _places.ContainsKey(pid);

    /// <summary>How many are above a member.</summary>
    public int Depth(int pid) => _places[pid].Depth;

    /// <summary>Whether a member is a descendant of another one.</summary>
    public bool IsBelow(int pid, int ancestor)
    {
        Place above = _places[ancestor];
        return _places[pid].Number - above.Number is var distance && distance > 0 && distance < above.Size;
    }

    /// <summary>A member, its parent, and so on to the root.</summary>
    public IEnumerable<FamilyMember> Upwards(int pid)
    {
        for (FamilyMember member = this[pid]; ; member = this[member.Parent])
        {
            yield return member;
            if (member.Pid == Root.Pid)
            {
                yield break;
            }
        }
    }

    private readonly record struct Place(int Number, int Depth, int Size = 0);
}
