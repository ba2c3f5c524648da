using CriuPS.Engine.Compel;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Images;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Memory;

/// <summary>
/// The pages of a process that are its own: of anonymous memory, and copied pages of private file mappings (read-only ones too: relocated pointers live
/// there). The kernel tells which exist (PAGEMAP_SCAN). They go into the pages file by pwritev(2) of the process itself, straight from its
/// memory; what it may not read itself, or may not write because its files are limited in size, goes through /proc/PID/mem.
/// </summary>
internal static class PageContent
{
    private const int VectorsPerCall = 1024;

    // Between two programs the dump can be cancelled and tells how far it is: some tens of milliseconds.
    private const ulong BytesPerProgram = 64UL << 20;
    private const int CopyBuffer = 1 << 20;

    /// <summary>A run of pages with its place in the pages file.</summary>
    /// <param name="Start">First address.</param>
    /// <param name="Length">Bytes.</param>
    /// <param name="Offset">Where it goes in the file.</param>
    /// <param name="Direct">Whether the process can write it itself.</param>
    public readonly record struct Run(ulong Start, ulong Length, long Offset, bool Direct);

    /// <summary>Lists the pages to save, in the order of their addresses.</summary>
    public static List<Run> Find(ProcDirectory proc, IReadOnlyList<Mapping> mappings)
    {
        using Proc.PageMap pageMap = Proc.PageMap.Open(proc);
        List<PageRegion> regions = [];
        List<Run> runs = [];
        long offset = 0;
        for (int first = 0, count; first < mappings.Count; first += count)
        {
            count = CountAlike(mappings, first);
            if (HasOwnPages(mappings[first]))
            {
                regions.Clear();
                Scan(pageMap, mappings[first], mappings[first + count - 1].Vma.End, regions);
                offset = AddRegions(runs, regions, mappings, first, offset);
            }
        }

        return runs;
    }

    /// <summary>Writes the page map of what <see cref="Find"/> listed.</summary>
    public static void WriteMap(ImageSet images, int pid, uint pagesId, IEnumerable<Run> runs)
    {
        using PageMapWriter writer = new(images, ImageType.PageMap, (ulong)pid, pagesId);
        foreach (Run run in runs)
        {
            writer.Add(run.Start, run.Length / Kernel.Memory.PageSize, PageFlags.Present);
        }
    }

    /// <summary>Adds the operations by which the process writes its own pages.</summary>
    /// <param name="program">Takes as many runs as fit.</param>
    /// <param name="file">Where the process has the pages file's number.</param>
    /// <param name="runs">All runs.</param>
    /// <param name="next">The first run that is not yet in a program; moved on.</param>
    /// <returns>Each operation with the bytes that it must write.</returns>
    public static List<(Operation Write, ulong Bytes)> AddWrites(SyscallProgram program, Argument file, IReadOnlyList<Run> runs, ref int next)
    {
        List<(Operation, ulong)> writes = [];
        for (ulong total = 0; next < runs.Count && total < BytesPerProgram;)
        {
            int count = Count(runs, next);
            if (count == 0)
            {
                next++;
                continue;
            }

            if (!program.Fits(4, count * 16 + 64))
            {
                break;
            }

            Run first = runs[next];
            ulong[] vector = new ulong[count * 2];
            ulong bytes = 0;
            for (int i = 0; i < count; i++)
            {
                (vector[2 * i], vector[2 * i + 1]) = (runs[next + i].Start, runs[next + i].Length);
                bytes += runs[next + i].Length;
            }

            ulong address = program.Put(System.Runtime.InteropServices.MemoryMarshal.AsBytes(vector.AsSpan()));
            writes.Add((program.Try("write of memory pages", SyscallNumber.pwritev, file, address, count, first.Offset, 0), bytes));
            next += count;
            total += bytes;
        }

        return writes;
    }

    /// <summary>Copies a run through /proc/PID/mem, which reads what the process itself may not.</summary>
    public static void Copy(SafeFileHandle memory, SafeFileHandle file, Run run)
    {
        byte[] buffer = System.Buffers.ArrayPool<byte>.Shared.Rent(CopyBuffer);
        try
        {
            for (ulong done = 0; done < run.Length;)
            {
                int part = (int)Math.Min((ulong)CopyBuffer, run.Length - done);
                long read = FileRead.ReadAt(memory, buffer.AsSpan(0, part), (long)(run.Start + done));
                if (read <= 0)
                {
                    throw new KernelException($"read of the memory at 0x{run.Start + done:x}", read < 0 ? (int)-read : Errno.EIO);
                }

                int errno = FileAt.TryWriteAllAt(file, buffer.AsSpan(0, (int)read), run.Offset + (long)done);
                if (errno != 0)
                {
                    throw new KernelException("write of memory pages", errno) { Remedy = ImageWriter.RemedyFor(errno) };
                }

                done += (ulong)read;
            }
        }
        finally
        {
            System.Buffers.ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    // One call moves less than 2 GiB (read(2), notes), and a program should take a moment only: longer runs are cut.
    private static long Add(List<Run> runs, PageRegion region, long offset, bool direct)
    {
        for (ulong start = region.Start; start < region.End;)
        {
            ulong length = Math.Min(region.End - start, BytesPerProgram);
            runs.Add(new Run(start, length, offset, direct));
            start += length;
            offset += (long)length;
        }

        return offset;
    }

    // How many mappings from one on are asked about in the same way: one scan serves them all, and a process can have thousands.
    private static int CountAlike(IReadOnlyList<Mapping> mappings, int first)
    {
        int count = 1;
        while (first + count < mappings.Count && IsAlike(mappings[first], mappings[first + count]))
        {
            count++;
        }

        return count;
    }

    private static bool IsAlike(Mapping one, Mapping other) => HasOwnPages(one) == HasOwnPages(other)
        && !IsWhole(one) && !IsWhole(other) && ((one.Flags ^ other.Flags) & VmFlags.MaybeGuard) == 0 && WatchedMemory.Is(one) == WatchedMemory.Is(other);

    // The kernel does not count their pages as the process's own.
    private static bool IsWhole(Mapping mapping) => mapping.IsSpecial || mapping.IsAioRing;

    private static bool HasOwnPages(Mapping mapping) => mapping.HasContent && (!mapping.IsSpecial || mapping.Vma.IsVdso);

    // Anonymous pages that exist. The kernel keeps guard pages as swap entries: they are none of the process's.
    private static void Scan(Proc.PageMap pageMap, Mapping first, ulong end, List<PageRegion> regions)
    {
        if (IsWhole(first))
        {
            regions.Add(new PageRegion(first.Vma.Start, end, PageCategories.None));
            return;
        }

        // A zero page is as good as none, except where somebody is told of pages that are not there.
        PageCategories never = WatchedMemory.Is(first) ? PageCategories.File : PageCategories.File | PageCategories.ZeroPage;
        never |= (first.Flags & VmFlags.MaybeGuard) != 0 ? PageCategories.Guard : 0;
        PageQuery query = new(PageCategories.None, PageCategories.Present | PageCategories.Swapped, never, never);
        pageMap.Scan(first.Vma.Start, end, query, regions);
    }

    // A region can go over the border between two mappings, of which the process can perhaps read one only.
    private static long AddRegions(List<Run> runs, List<PageRegion> regions, IReadOnlyList<Mapping> mappings, int index, long offset)
    {
        foreach (PageRegion region in regions)
        {
            for (ulong start = region.Start; start < region.End;)
            {
                while (mappings[index].Vma.End <= start)
                {
                    index++;
                }

                Vma vma = mappings[index].Vma;
                ulong end = Math.Min(region.End, vma.End);
                bool direct = vma.Protection.HasFlag(VmaProtection.Read);
                offset = Add(runs, region with { Start = start, End = end }, offset, direct);
                start = end;
            }
        }

        return offset;
    }

    // Runs that one call can write: neighbours in the file, all readable by the process.
    private static int Count(IReadOnlyList<Run> runs, int first)
    {
        ulong bytes = 0;
        int count = 0;
        while (first + count < runs.Count && count < VectorsPerCall && runs[first + count].Direct)
        {
            bytes += runs[first + count].Length;
            if (count > 0 && bytes > BytesPerProgram)
            {
                break;
            }

            count++;
        }

        return count;
    }
}
