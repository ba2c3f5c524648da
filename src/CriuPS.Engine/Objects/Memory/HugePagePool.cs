using System.Globalization;
using CriuPS.Engine.Errors;

namespace CriuPS.Engine.Objects.Memory;

/// <summary>
/// How many huge pages a restore will take, and how many there are (/sys/kernel/mm/hugepages, Documentation/admin-guide/mm/hugetlbpage.rst). mmap(2)
/// reserves all pages of a mapping at once, unless it has MAP_NORESERVE; those of shared memory once for all who map it.
/// </summary>
internal sealed class HugePagePool
{
    /// <summary>What helps where there are too few.</summary>
    public const string Remedy = "give the pool more pages (nr_hugepages in /sys/kernel/mm/hugepages)";

    private const string Root = "/sys/kernel/mm/hugepages";

    private readonly Dictionary<long, long> _private = [];
    private readonly HashSet<(long Size, uint Object, long Page)> _shared = [];

    /// <summary>The sizes that this kernel has, in bytes.</summary>
    public static IEnumerable<long> Sizes() => Directory.Exists(Root)
        ? Directory.EnumerateDirectories(Root, "hugepages-*kB").Select(path => Parse(Path.GetFileName(path)["hugepages-".Length..^"kB".Length]) << 10)
        : [];

    /// <summary>Private memory will be mapped.</summary>
    public void Need(long size, long bytes) => _private[size] = _private.GetValueOrDefault(size) + (bytes + size - 1) / size;

    /// <summary>A part of shared memory will be mapped or filled.</summary>
    public void Need(long size, uint sharedObject, long start, long end)
    {
        for (long page = start / size; page * size < end; page++)
        {
            _shared.Add((size, sharedObject, page));
        }
    }

    /// <summary>Fails if there are too few pages.</summary>
    /// <exception cref="CriuException">Says how many are missing.</exception>
    public void Validate()
    {
        HashSet<long> sizes = [.. _private.Keys, .. _shared.Select(page => page.Size)];
        foreach (long size in sizes)
        {
            long needed = _private.GetValueOrDefault(size) + _shared.Count(page => page.Size == size), free = Free(size);
            if (free < needed)
            {
                throw new CriuException(
                    "HugePagesMissing", CriuErrorKind.NotSupported, $"{needed} huge pages of {size >> 10} KiB are needed, and {Math.Max(free, 0)} are free")
                {
                    Subject = $"huge pages of {size >> 10} KiB", Remedy = Remedy,
                };
            }
        }
    }

    // Free pages that nobody has reserved, and those that the kernel may make in addition.
    private static long Free(long size)
    {
        string folder = $"{Root}/hugepages-{size >> 10}kB";
        if (!Directory.Exists(folder))
        {
            return 0;
        }

        long Read(string name) => Parse(File.ReadAllText($"{folder}/{name}").TrimEnd());
        return Read("free_hugepages") - Read("resv_hugepages") + Math.Max(0, Read("nr_overcommit_hugepages") - Read("surplus_hugepages"));
    }

    private static long Parse(string number) => long.Parse(number, NumberStyles.None, CultureInfo.InvariantCulture);
}
