namespace CriuPS.Engine.Objects.Family;

/// <summary>A process of a tree as its relatives see it.</summary>
/// <param name="Pid">Its number.</param>
/// <param name="Parent">Its parent's number; 0 for the root.</param>
/// <param name="Session">The number of its session.</param>
/// <param name="Group">The number of its process group.</param>
/// <param name="IsZombie">Whether it has ended and waits for its parent.</param>
/// <param name="IsHelper">Whether it lives during a restore only, for the sake of a session or a group whose leader is dead.</param>
internal readonly record struct FamilyMember(int Pid, int Parent, int Session, int Group, bool IsZombie = false, bool IsHelper = false)
{
    /// <summary>Whether it made its session itself (setsid(2)).</summary>
    public bool IsSessionLeader => Session == Pid;
}

/// <summary>How a process comes to its parent.</summary>
internal enum BirthWay
{
    /// <summary>The parent itself gives birth to it.</summary>
    Child,

    /// <summary>A child of the parent gives birth to it and makes it its own sibling (CLONE_PARENT).</summary>
    Sibling,

    /// <summary>A grandchild of a descendant of the parent: its own parent dies, and the parent, a subreaper for the moment, gets it.</summary>
    Orphan,
}

/// <summary>One birth.</summary>
/// <param name="Child">Who is born.</param>
/// <param name="Creator">Whose memory and session it begins with.</param>
/// <param name="BeforeSetsid">Whether it is born before its creator makes a session of its own.</param>
/// <param name="Way">How it comes to its parent.</param>
internal readonly record struct PlannedBirth(FamilyMember Child, int Creator, bool BeforeSetsid, BirthWay Way);

/// <summary>Something in a family that no order of births can make.</summary>
/// <param name="Pid">Whose it is.</param>
/// <param name="Subject">The session or group.</param>
/// <param name="Reason">Why not.</param>
/// <param name="Remedy">What would help.</param>
internal readonly record struct FamilyObjection(int Pid, string Subject, string Reason, string Remedy);
