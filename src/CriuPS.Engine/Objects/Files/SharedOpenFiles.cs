using System.Runtime.InteropServices;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects.Ids;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// Which descriptors of a tree that stands still lead to one open file (struct file): dup(2), fork(2) and sockets share it. Only kcmp(2) can tell, and only those
/// are compared that look alike; most do not.
/// </summary>
internal sealed class SharedOpenFiles
{
    private const int NoOther = -1;

    private readonly Dictionary<OpenFile, OpenFile> _first = new(ReferenceEqualityComparer.Instance);

    /// <summary>Compares descriptors; the order of the given ones decides which of several is the first.</summary>
    public SharedOpenFiles(IReadOnlyList<OpenFile> files)
    {
        foreach ((OpenFile file, OpenFile first) in Workers.Map(Alike(files), FindShared, worthAThread: 1).SelectMany(found => found))
        {
            _first[file] = first;
        }
    }

    /// <summary>The first descriptor of the same open file, which may be this one.</summary>
    public OpenFile FirstOf(OpenFile file) => _first.Count == 0 ? file : _first.GetValueOrDefault(file, file);

    // Chains through one array instead of a list for each of thousands of looks.
    private static List<List<OpenFile>> Alike(IReadOnlyList<OpenFile> files)
    {
        Dictionary<Look, int> last = new(files.Count);
        int[] previous = new int[files.Count];
        bool[] followed = new bool[files.Count];
        for (int i = 0; i < previous.Length; i++)
        {
            ref int chain = ref CollectionsMarshal.GetValueRefOrAddDefault(last, Look.Of(files[i]), out bool known);
            previous[i] = known ? chain : NoOther;
            chain = i;
            if (known)
            {
                followed[previous[i]] = true;
            }
        }

        List<List<OpenFile>> groups = [];
        for (int i = 0; i < previous.Length; i++)
        {
            if (previous[i] != NoOther && !followed[i])
            {
                groups.Add(Chain(files, previous, i));
            }
        }

        return groups;
    }

    private static List<OpenFile> Chain(IReadOnlyList<OpenFile> files, int[] previous, int last)
    {
        List<OpenFile> chain = [];
        for (int i = last; i != NoOther; i = previous[i])
        {
            chain.Add(files[i]);
        }

        chain.Reverse();
        return chain;
    }

    private static List<(OpenFile File, OpenFile First)> FindShared(List<OpenFile> alike)
    {
        OrderedObjects<OpenFile> known = new((a, b) => Kcmp.CompareFiles(a.Pid, a.Fd, b.Pid, b.Fd));
        List<OpenFile> firsts = [];
        List<(OpenFile, OpenFile)> shared = [];
        foreach (OpenFile file in alike)
        {
            uint id = known.IdOf(file, () => (uint)firsts.Count, out bool isNew);
            if (isNew)
            {
                firsts.Add(file);
            }
            else
            {
                shared.Add((file, firsts[(int)id]));
            }
        }

        return shared;
    }

    /// <summary>What two descriptors of one open file have in common. All eventfds have one inode, but each has a number of its own.</summary>
    private readonly record struct Look(ulong Device, ulong Inode, long Position, int Flags, int EventId)
    {
        public static Look Of(OpenFile file) =>
            new(file.Status.st_dev, file.Status.st_ino, file.Position, file.FileFlags, file.Info?.EventFd?.Id ?? 0);
    }
}
