using System.Numerics;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Images;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Memory;

/// <summary>
/// Huge pages of a fixed size (hugetlbfs): anonymous memory with MAP_HUGETLB and memory files with MFD_HUGETLB. For each size the kernel has a pool and a mount
/// of its own, whose device tells the size (mm/hugetlb.c, fs/hugetlbfs/inode.c); /proc calls anonymous ones <c>/anon_hugepage (deleted)</c>. Files of such
/// mounts can be read, but written to by mappings only, and do not tell where their holes are.
/// </summary>
internal static class HugePages
{
    private const int PieceSize = 64 << 10, BlockSize = 512;

    private static readonly Lazy<Dictionary<ulong, long>> s_sizes = new(FindSizes);

    /// <summary>What the kernel calls memory of huge pages that is no memory file.</summary>
    public static ReadOnlySpan<byte> AnonymousName => "/anon_hugepage"u8;

    /// <summary>The size of the pages of one of the kernel's own mounts by its device, in bytes; 0 for any other device.</summary>
    public static long SizeOf(ulong device) => s_sizes.Value.GetValueOrDefault(device);

    /// <summary>A size as mmap(2) and memfd_create(2) take it (MAP_HUGE_SHIFT).</summary>
    public static uint FlagOf(long size) => (uint)BitOperations.Log2((ulong)size) << Kernel.Memory.MAP_HUGE_SHIFT;

    /// <summary>The size of pages that flags of mmap(2) or memfd_create(2) ask for; 0 where they leave it open.</summary>
    public static long SizeIn(uint flags)
    {
        int shift = (int)(flags >> Kernel.Memory.MAP_HUGE_SHIFT) & Kernel.Memory.MAP_HUGE_MASK;
        return shift is 0 or > 40 ? 0 : 1L << shift;
    }

    /// <summary>Whether a file is on a file system of huge pages that somebody has mounted under a path.</summary>
    public static bool IsOnMount(Files.OpenFile file) =>
        file.Status.st_blksize > Kernel.Memory.PageSize && FileSystemType.Of(file.MagicLink) == FileSystemType.HUGETLBFS_MAGIC;

    /// <summary>Where such memory has content: pages that have never been touched read as zeros.</summary>
    public static IEnumerable<(long Start, long End)> Ranges(SafeFileHandle file, FileStatus.stat status)
    {
        long size = status.st_size;
        if (status.st_blocks * BlockSize >= size)
        {
            return size == 0 ? [] : [(0, size)];
        }

        return status.st_blocks == 0 ? [] : NotZero(file, size);
    }

    /// <summary>Fills a part of such memory from a file, in pages that are taken from the pool first: a fault without one would end us.</summary>
    /// <param name="memory">The memory, open for writing.</param>
    /// <param name="pageSize">The size of its pages.</param>
    /// <param name="start">Where.</param>
    /// <param name="length">How many bytes.</param>
    /// <param name="from">The file.</param>
    /// <param name="offset">Where in it.</param>
    public static void Fill(SafeFileHandle memory, long pageSize, long start, long length, SafeFileHandle from, long offset)
    {
        for (long page = start / pageSize * pageSize; page < start + length; page += pageSize)
        {
            if (FileAt.TryAllocate(memory, page, pageSize) is not 0 and int errno)
            {
                throw new KernelException($"fallocate of a huge page of {pageSize >> 10} KiB", errno) { Remedy = HugePagePool.Remedy };
            }

            using SharedMapping mapping = new(memory, page, (int)pageSize);
            long first = Math.Max(page, start), last = Math.Min(page + pageSize, start + length);
            Span<byte> part = mapping.Bytes[(int)(first - page)..(int)(last - page)];
            if (RandomAccess.Read(from, part, offset + (first - start)) != part.Length)
            {
                throw new ImageException(ImageException.TruncatedImage, "pages", offset, "the pages file ends too early");
            }
        }
    }

    private static IEnumerable<(long Start, long End)> NotZero(SafeFileHandle file, long size)
    {
        byte[] piece = new byte[PieceSize];
        long begin = -1;
        for (long at = 0; at < size; at += PieceSize)
        {
            long read = Syscall.Check(FileRead.ReadAt(file, piece, at), "read of huge pages");
            bool zero = !piece.AsSpan(0, (int)read).ContainsAnyExcept((byte)0);
            if (zero && begin >= 0)
            {
                yield return (begin, at);
                begin = -1;
            }
            else if (!zero && begin < 0)
            {
                begin = at;
            }
        }

        if (begin >= 0)
        {
            yield return (begin, size);
        }
    }

    private static Dictionary<ulong, long> FindSizes()
    {
        Dictionary<ulong, long> sizes = [];
        foreach (long size in HugePagePool.Sizes())
        {
            using SafeFileHandle probe = MemFd.Create("criups"u8, MemFd.MFD_HUGETLB | (int)FlagOf(size));
            sizes[FileStatus.Of(probe).st_dev] = size;
        }

        return sizes;
    }
}
