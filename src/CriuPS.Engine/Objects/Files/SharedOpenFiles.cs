using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects.Ids;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// Which descriptors of a tree that stands still lead to one open file (struct file): dup(2), fork(2) and sockets share it. Where the kernel's memory was not
/// asked, only kcmp(2) can tell, and only those are compared that look alike; most do not.
/// </summary>
internal sealed class SharedOpenFiles
{
    private readonly Dictionary<OpenFile, OpenFile> _first = new(ReferenceEqualityComparer.Instance);

    /// <summary>Compares descriptors; the order of the given ones decides which of several is the first.</summary>
    public SharedOpenFiles(IReadOnlyList<OpenFile> files)
    {
        List<List<OpenFile>> alike = [.. files.GroupBy(Look.Of).Select(group => group.ToList()).Where(group => group.Count > 1)];
        foreach ((OpenFile file, OpenFile first) in Workers.Map(alike, FindShared, worthAThread: 1).SelectMany(found => found))
        {
            _first[file] = first;
        }
    }

    /// <summary>The first descriptor of the same open file, which may be this one.</summary>
    public OpenFile FirstOf(OpenFile file) => _first.Count == 0 ? file : _first.GetValueOrDefault(file, file);

    private static List<(OpenFile File, OpenFile First)> FindShared(List<OpenFile> alike)
    {
        if (alike.TrueForAll(file => file.Address != 0))
        {
            return [.. alike.GroupBy(file => file.Address).SelectMany(same => same.Skip(1).Select(file => (file, same.First())))];
        }

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
