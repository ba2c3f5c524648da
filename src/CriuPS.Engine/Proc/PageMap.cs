using System.Runtime.InteropServices;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Proc;

/// <summary>What the kernel tells of a page; the values are PAGE_IS_* of include/uapi/linux/fs.h.</summary>
[Flags]
public enum PageCategories : ulong
{
    None = 0,

    /// <summary>In a range registered with userfaultfd's asynchronous write-protect mode.</summary>
    WriteProtectAllowed = 1 << 0,

    /// <summary>Not write-protected by userfaultfd: written since it was protected, or never protected.</summary>
    Written = 1 << 1,

    /// <summary>Of a file or of shared memory; a private mapping's copied page is not.</summary>
    File = 1 << 2,

    /// <summary>In memory.</summary>
    Present = 1 << 3,

    /// <summary>Swapped out; also, by the kernel's way of keeping them, guard pages and userfaultfd's marks on absent pages.</summary>
    Swapped = 1 << 4,

    /// <summary>The zero page of the kernel stands in for it.</summary>
    ZeroPage = 1 << 5,

    /// <summary>Mapped by a transparent huge page or by hugetlbfs.</summary>
    Huge = 1 << 6,

    /// <summary>Written since soft-dirty bits were cleared; only with CONFIG_MEM_SOFT_DIRTY.</summary>
    SoftDirty = 1 << 7,

    /// <summary>A guard page (MADV_GUARD_INSTALL); since Linux 6.15.</summary>
    Guard = 1 << 8,
}

/// <summary>Neighbouring pages that are alike.</summary>
/// <param name="Start">First address.</param>
/// <param name="End">Address after the last.</param>
/// <param name="Categories">What they are, of the categories asked for.</param>
public readonly record struct PageRegion(ulong Start, ulong End, PageCategories Categories);

/// <summary>Which pages a scan reports. A page passes if, after inversion, it has all of one set and at least one of the other.</summary>
/// <param name="Return">Categories that are told, and that split regions.</param>
/// <param name="AnyOf">At least one of these; none for no such condition.</param>
/// <param name="AllOf">All of these.</param>
/// <param name="Inverted">Categories whose absence counts as presence for the two conditions.</param>
public readonly record struct PageQuery(
    PageCategories Return, PageCategories AnyOf = PageCategories.None, PageCategories AllOf = PageCategories.None,
    PageCategories Inverted = PageCategories.None);

/// <summary>
/// /proc/PID/pagemap: which pages of a process exist, and of what kind (Documentation/admin-guide/mm/pagemap.rst). Regions come from the
/// ioctl PAGEMAP_SCAN; on kernels before 6.7 the 64-bit entries of the file answer those questions that they can.
/// </summary>
public sealed class PageMap : IDisposable
{
    /// <summary>Categories that the entries of the file tell too.</summary>
    public const PageCategories EntryCategories =
        PageCategories.File | PageCategories.Present | PageCategories.Swapped | PageCategories.SoftDirty | PageCategories.Guard;

    private const int RegionsPerCall = 1024;

    private static readonly ulong s_pageSize = (ulong)Environment.SystemPageSize;

    private readonly SafeFileHandle _file;
    private readonly ProcDirectory _directory;
    private bool _hasScan = true;

    private PageMap(ProcDirectory directory, SafeFileHandle file)
    {
        _directory = directory;
        _file = file;
    }

    /// <summary>Opens the page map; the kernel binds it to the memory that the process has now, an exec later does not change it.</summary>
    /// <inheritdoc cref="ProcDirectory.Open"/>
    public static PageMap Open(ProcDirectory directory) => new(directory, directory.Open("pagemap", OpenAt.O_RDONLY));

    /// <summary>Finds pages. Regions come in ascending order; one that two calls cut is reported in one piece.</summary>
    /// <param name="start">First address, a multiple of the page size.</param>
    /// <param name="end">Address after the last, a multiple of the page size.</param>
    /// <param name="query">What to look for.</param>
    /// <param name="regions">Takes the regions, behind those that it holds already.</param>
    /// <exception cref="CriuException">
    /// <c>PagemapScanMissing</c>: this kernel lacks the ioctl and the query needs more than <see cref="EntryCategories"/>.
    /// </exception>
    /// <exception cref="KernelException">The kernel refused.</exception>
    public void Scan(ulong start, ulong end, PageQuery query, List<PageRegion> regions)
    {
        int first = regions.Count;
        if (_hasScan && !ScanByCall(start, end, query, regions, first))
        {
            _hasScan = false;
        }

        if (!_hasScan)
        {
            ScanByEntries(start, end, query, regions);
        }
    }

    /// <summary>Reads entries of the file, one for each page from <paramref name="start"/> on.</summary>
    /// <param name="start">First address, a multiple of the page size.</param>
    /// <param name="entries">Takes them.</param>
    /// <returns>How many were read: fewer at the end of the address space.</returns>
    /// <exception cref="KernelException">The kernel refused.</exception>
    public int ReadEntries(ulong start, Span<PageMapEntry> entries)
    {
        Span<byte> bytes = MemoryMarshal.AsBytes(entries);
        int read = 0;
        while (read < bytes.Length)
        {
            long result = FileRead.ReadAt(_file, bytes[read..], (long)(start / s_pageSize * sizeof(ulong)) + read);
            if (Syscall.IsError(result))
            {
                throw _directory.Failure("pread64", "pagemap", (int)-result);
            }

            if (result == 0)
            {
                break;
            }

            read += (int)result;
        }

        return read / sizeof(ulong);
    }

    /// <summary>Scans through the entries of the file, whether or not the kernel has the ioctl.</summary>
    internal void ScanByEntries(ulong start, ulong end, PageQuery query, List<PageRegion> regions)
    {
        PageCategories beyond = (query.Return | query.AnyOf | query.AllOf | query.Inverted) & ~EntryCategories;
        if (beyond != PageCategories.None)
        {
            throw new CriuException("PagemapScanMissing", CriuErrorKind.NotSupported, $"this kernel cannot tell which pages are {beyond}")
            {
                Pid = _directory.Pid,
                Subject = $"{_directory.Path}/pagemap",
                Remedy = "use Linux 6.7 or later, which has the ioctl PAGEMAP_SCAN",
            };
        }

        int first = regions.Count;
        Span<PageMapEntry> entries = stackalloc PageMapEntry[RegionsPerCall];
        for (ulong at = start; at < end;)
        {
            ulong wanted = Math.Min((end - at) / s_pageSize, RegionsPerCall);
            int count = ReadEntries(at, entries[..(int)wanted]);
            for (int i = 0; i < count; i++, at += s_pageSize)
            {
                AddPage(at, entries[i].Categories, query, regions, first);
            }

            if (count == 0)
            {
                return;
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    /// <summary>Scans through the ioctl; false if the kernel lacks it.</summary>
    private bool ScanByCall(ulong start, ulong end, PageQuery query, List<PageRegion> regions, int first)
    {
        Span<PageRegionRecord> output = stackalloc PageRegionRecord[RegionsPerCall];
        PagemapScanArgument argument = default;
        argument.category_inverted = (ulong)query.Inverted;
        argument.category_mask = (ulong)query.AllOf;
        argument.category_anyof_mask = (ulong)query.AnyOf;
        argument.return_mask = (ulong)query.Return;
        for (ulong at = start; at < end;)
        {
            argument.start = at;
            argument.end = end;
            long count = PagemapScan.Invoke(_file, ref argument, output);
            if (count == -Errno.ENOTTY)
            {
                return false;
            }

            if (Syscall.IsError(count))
            {
                throw _directory.Failure("ioctl(PAGEMAP_SCAN)", "pagemap", (int)-count);
            }

            foreach (PageRegionRecord region in output[..(int)count])
            {
                Append(new PageRegion(region.start, region.end, (PageCategories)region.categories), regions, first);
            }

            // walk_end is not asked: fs/proc/task_mmu.c, do_pagemap_scan walks in parts of 512 regions, and when the last part comes to the end it
            // leaves the place of the one before there.
            at = count < output.Length ? end : output[^1].end;
        }

        return true;
    }

    private static void AddPage(ulong page, PageCategories categories, PageQuery query, List<PageRegion> regions, int first)
    {
        PageCategories tested = categories ^ query.Inverted;
        bool passes = (tested & query.AllOf) == query.AllOf
            && (query.AnyOf == PageCategories.None || (tested & query.AnyOf) != PageCategories.None);
        if (passes)
        {
            Append(new PageRegion(page, page + s_pageSize, categories & query.Return), regions, first);
        }
    }

    private static void Append(PageRegion region, List<PageRegion> regions, int first)
    {
        if (regions.Count > first && regions[^1].End == region.Start && regions[^1].Categories == region.Categories)
        {
            regions[^1] = regions[^1] with { End = region.End };
            return;
        }

        regions.Add(region);
    }
}
