using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Restore;

/// <summary>
/// Which mappings a child keeps of those that it is born with: private ones that lie within one of its creator's of the same kind. Their pages stay
/// shared until somebody writes to them, as after fork(2).
/// </summary>
internal static class InheritedMemory
{
    private const uint Kind = Kernel.Memory.MAP_PRIVATE | Kernel.Memory.MAP_SHARED | Kernel.Memory.MAP_ANONYMOUS | Kernel.Memory.MAP_GROWSDOWN
        | Kernel.Memory.MAP_NORESERVE;

    /// <summary>Matches the mappings of a child against those of its creator.</summary>
    /// <returns>Each kept mapping with the one it is in.</returns>
    public static IEnumerable<(VmaEntry Own, VmaEntry Creators)> Match(SavedProcess child, SavedProcess creator)
    {
        // Who runs another program has nothing of what it was born with, execve(2).
        if (!SameProgram(child, creator))
        {
            yield break;
        }

        List<VmaEntry> theirs = [.. creator.Mappings];
        int next = 0;
        foreach (VmaEntry own in child.Mappings)
        {
            while (next < theirs.Count && theirs[next].End <= own.Start)
            {
                next++;
            }

            if (next < theirs.Count && IsWithin(own, theirs[next]))
            {
                yield return (own, theirs[next]);
            }
        }
    }

    /// <summary>Whether two processes run the same program.</summary>
    public static bool SameProgram(SavedProcess one, SavedProcess other) => one.RunsTheSameAs(other);

    private static bool IsWithin(VmaEntry own, VmaEntry theirs)
    {
        bool inside = own.Start >= theirs.Start && own.End <= theirs.End;
        bool sameKind = (own.Flags & Kernel.Memory.MAP_PRIVATE) != 0 && (own.Flags & Kind) == (theirs.Flags & Kind);
        if ((own.Flags & Kernel.Memory.MAP_HUGETLB) != 0)
        {
            // Pages of another size can neither be compared nor dropped one by one.
            return false;
        }

        bool anonymous = (own.Flags & Kernel.Memory.MAP_ANONYMOUS) != 0;
        return inside && sameKind && (anonymous || own.Shmid == theirs.Shmid && own.Pgoff == theirs.Pgoff + (own.Start - theirs.Start));
    }
}
