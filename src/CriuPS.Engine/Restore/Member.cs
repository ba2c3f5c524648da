using CriuPS.Engine.Compel;
using CriuPS.Engine.Objects.Family;

namespace CriuPS.Engine.Restore;

/// <summary>A newborn of the tree: it will be a process of the images, one that has ended, or it helps for the moment.</summary>
/// <param name="place">Its place in the family.</param>
/// <param name="task">Its first task.</param>
/// <param name="batch">Takes its system calls.</param>
internal sealed class Member(FamilyMember place, Tracee task, RemoteBatch batch)
{
    public FamilyMember Place => place;

    public int Pid => place.Pid;

    public Tracee Task => task;

    public RemoteBatch Batch => batch;

    /// <summary>The old number of the session keyring that it has: 0 for that of its user, null for one of ours.</summary>
    public uint? Keyring { get; set; }

    /// <summary>What makes it a process of the images; null for all others.</summary>
    public ProcessRestore? Process { get; set; }

    /// <summary>Whose memory its children begin with: its own, or that which it was born with.</summary>
    public required MemoryRestore? Memory { get; set; }
}
