using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Kernel;

/// <summary>struct page_region of include/uapi/linux/fs.h: neighbouring pages of the same categories.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct PageRegionRecord
{
    public ulong start;
    public ulong end;
    public ulong categories;
}

/// <summary>struct pm_scan_arg of include/uapi/linux/fs.h.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct PagemapScanArgument
{
    /// <summary>Size of the structure: the kernel refuses one that it does not know.</summary>
    public ulong size;

    /// <summary>PM_SCAN_* flags.</summary>
    public ulong flags;

    /// <summary>First address, page aligned.</summary>
    public ulong start;

    /// <summary>Address after the last, page aligned.</summary>
    public ulong end;

    /// <summary>Out: where the walk ended, which is <see cref="end"/> unless the output was full.</summary>
    public ulong walk_end;

    /// <summary>Address of the output array of <see cref="PageRegionRecord"/>.</summary>
    public ulong vec;

    /// <summary>Number of entries in the output array.</summary>
    public ulong vec_len;

    /// <summary>Stop after so many pages; 0 for no limit.</summary>
    public ulong max_pages;

    /// <summary>Categories whose sense is turned round before matching.</summary>
    public ulong category_inverted;

    /// <summary>Categories that a page must have, all of them.</summary>
    public ulong category_mask;

    /// <summary>Categories of which a page must have at least one; 0 for no such condition.</summary>
    public ulong category_anyof_mask;

    /// <summary>Categories that are reported, and by whose change regions are split.</summary>
    public ulong return_mask;
}

/// <summary>ioctl PAGEMAP_SCAN on /proc/PID/pagemap, since Linux 6.7 (Documentation/admin-guide/mm/pagemap.rst).</summary>
internal static class PagemapScan
{
    /// <summary>_IOWR('f', 16, struct pm_scan_arg).</summary>
    public const uint PAGEMAP_SCAN = 0xC060_6610;

    /// <summary>Write-protects what matches; the range must be registered with userfaultfd's asynchronous write-protect mode.</summary>
    public const ulong PM_SCAN_WP_MATCHING = 1;

    /// <summary>Fails with EPERM where a range is not registered so, instead of passing over it.</summary>
    public const ulong PM_SCAN_CHECK_WPASYNC = 2;

    /// <summary>Runs one scan.</summary>
    /// <param name="pagemap">/proc/PID/pagemap, opened for reading.</param>
    /// <param name="argument">The query; size, vec and vec_len are filled in here, walk_end by the kernel.</param>
    /// <param name="output">Takes the regions.</param>
    /// <returns>The number of regions, or minus an errno (ENOTTY: the kernel is older than 6.7).</returns>
    public static unsafe long Invoke(SafeFileHandle pagemap, ref PagemapScanArgument argument, Span<PageRegionRecord> output)
    {
        using var hold = new DescriptorHold(pagemap);
        fixed (PageRegionRecord* vector = output)
        {
            fixed (PagemapScanArgument* query = &argument)
            {
                query->size = (ulong)sizeof(PagemapScanArgument);
                query->vec = (ulong)vector;
                query->vec_len = (ulong)output.Length;
                return Syscall.Invoke(SyscallNumber.ioctl, hold.Number, PAGEMAP_SCAN, (long)query);
            }
        }
    }
}
