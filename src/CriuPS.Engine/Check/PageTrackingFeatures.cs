using System.Runtime.InteropServices;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Check;

/// <summary>Which pages exist and which were written: /proc/PID/pagemap, soft-dirty bits and userfaultfd(2).</summary>
internal static class PageTrackingFeatures
{
    private const ulong UFFD_API = 0xaa;
    private const uint UFFDIO_API = 0xc018aa3f, UFFDIO_REGISTER = 0xc020aa00, UFFDIO_WRITEPROTECT = 0xc018aa06;
    private const ulong UFFD_FEATURE_EVENT_FORK = 2, UFFD_FEATURE_EVENT_REMAP = 4, UFFD_FEATURE_EVENT_REMOVE = 8;
    private const ulong UFFD_FEATURE_EVENT_UNMAP = 64;
    private const ulong UFFD_FEATURE_WP_UNPOPULATED = 1 << 13, UFFD_FEATURE_WP_ASYNC = 1 << 15;
    private const ulong UFFDIO_REGISTER_MODE_WP = 2, UFFDIO_WRITEPROTECT_MODE_WP = 1;

    /// <summary>struct uffdio_api, include/uapi/linux/userfaultfd.h.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct uffdio_api
    {
        public ulong api;
        public ulong features;
        public ulong ioctls;
    }

    public static readonly Feature Scan = new("pagemap_scan", FeatureCategory.Extra, ProbeScan)
    {
        NeededFor = "telling a process's own pages from those of files and from pages of zeros", Required = true, KnownToCriu = true,
        Since = "Linux 6.7", Privilege = "CAP_SYS_PTRACE",
    };

    public static readonly Feature GuardPages = new("pagemap_scan_guard_pages", FeatureCategory.Extra, ProbeGuardPages)
    {
        NeededFor = "programs with guard pages, at the dump", KnownToCriu = true, Since = "Linux 6.15",
    };

    public static readonly Feature SoftDirty = new("mem_dirty_track", FeatureCategory.Extra, ProbeSoftDirty)
    {
        NeededFor = "dumps of what changed, CRIU's way; ours is uffd_wp_async", KnownToCriu = true,
        Since = "a kernel with CONFIG_MEM_SOFT_DIRTY",
    };

    public static readonly Feature UserFault = new("uffd", FeatureCategory.Extra, ProbeUserFault)
    {
        NeededFor = "restoring memory as it is touched (lazy pages)", KnownToCriu = true, Since = "Linux 4.3 with CONFIG_USERFAULTFD",
        Privilege = "CAP_SYS_PTRACE",
    };

    public static readonly Feature NonCooperative = new("uffd-noncoop", FeatureCategory.Extra, ProbeNonCooperative)
    {
        NeededFor = "lazy pages of a process that forks, moves or unmaps memory meanwhile", KnownToCriu = true,
        Since = "Linux 4.11 with CONFIG_USERFAULTFD", Privilege = "CAP_SYS_PTRACE",
    };

    public static readonly Feature WriteProtect = new("uffd_wp_async", FeatureCategory.Engine, ProbeWriteProtect)
    {
        NeededFor = "dumps of what changed since the last one", Since = "Linux 6.7 with CONFIG_USERFAULTFD", Privilege = "CAP_SYS_PTRACE",
    };

    private static Answer ProbeScan(ProbeBench bench)
    {
        using ProbeChild child = bench.Fresh();
        long page = WrittenPage(child);
        PageQuery query = new(
            PageCategories.Present | PageCategories.Swapped, AnyOf: PageCategories.Present | PageCategories.Swapped,
            AllOf: PageCategories.ZeroPage | PageCategories.File, Inverted: PageCategories.ZeroPage | PageCategories.File);
        return Answer.Of("ioctl(PAGEMAP_SCAN)", Regions(child, page, query).Count == 1);
    }

    private static Answer ProbeGuardPages(ProbeBench bench)
    {
        using ProbeChild child = bench.Fresh();
        long page = child.Map(Memory.PageSize);
        long result = child.Call(SyscallNumber.madvise, page, Memory.PageSize, Memory.MADV_GUARD_INSTALL);
        if (Syscall.IsError(result))
        {
            return Answer.Of("madvise(MADV_GUARD_INSTALL)", result);
        }

        PageQuery query = new(PageCategories.Guard, AnyOf: PageCategories.Guard);
        return Answer.Of("ioctl(PAGEMAP_SCAN) for PAGE_IS_GUARD", Regions(child, page, query).Count == 1);
    }

    // Clearing succeeds even where there are no such bits, so only a page that loses and regains its bit proves anything.
    private static Answer ProbeSoftDirty(ProbeBench bench)
    {
        using ProbeChild child = bench.Fresh();
        long page = WrittenPage(child);
        using SafeFileHandle clear = child.Proc.Open("clear_refs", OpenAt.O_WRONLY);
        long result = Fcntl.Write(clear, "4"u8);
        if (Syscall.IsError(result))
        {
            return Answer.Of("write to /proc/PID/clear_refs", result);
        }

        bool before = IsSoftDirty(child, page);
        Touch(child, page);
        return !before && IsSoftDirty(child, page)
            ? Answer.Yes("soft-dirty bits of /proc/PID/pagemap")
            : Answer.No("a page is not marked soft-dirty when it is written");
    }

    private static Answer ProbeUserFault(ProbeBench bench) => Answer.Of("userfaultfd", Open(bench.Child, 0));

    private static Answer ProbeNonCooperative(ProbeBench bench) => Answer.Of(
        "userfaultfd with events of fork, mremap, madvise and munmap",
        Open(bench.Child, UFFD_FEATURE_EVENT_FORK | UFFD_FEATURE_EVENT_REMAP | UFFD_FEATURE_EVENT_REMOVE | UFFD_FEATURE_EVENT_UNMAP));

    private static Answer ProbeWriteProtect(ProbeBench bench)
    {
        using ProbeChild child = bench.Fresh();
        long fd = Open(child, UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED);
        if (Syscall.IsError(fd))
        {
            return Answer.Of("userfaultfd(UFFD_FEATURE_WP_ASYNC)", fd);
        }

        // struct uffdio_register and uffdio_writeprotect begin alike: start, length, mode.
        long page = WrittenPage(child);
        long register = child.Put(MemoryMarshal.AsBytes<ulong>([(ulong)page, Memory.PageSize, UFFDIO_REGISTER_MODE_WP, 0]));
        child.Must("ioctl(UFFDIO_REGISTER)", SyscallNumber.ioctl, fd, UFFDIO_REGISTER, register);
        long protect = child.Put(MemoryMarshal.AsBytes<ulong>([(ulong)page, Memory.PageSize, UFFDIO_WRITEPROTECT_MODE_WP]));
        child.Must("ioctl(UFFDIO_WRITEPROTECT)", SyscallNumber.ioctl, fd, UFFDIO_WRITEPROTECT, protect);
        bool before = IsWritten(child, page);
        Touch(child, page);
        return Answer.Of("userfaultfd(UFFD_FEATURE_WP_ASYNC) and ioctl(PAGEMAP_SCAN)", !before && IsWritten(child, page));
    }

    // The descriptor, or -errno.
    private static long Open(ProbeChild child, ulong features)
    {
        long fd = child.Call(SyscallNumber.userfaultfd, Fcntl.O_CLOEXEC | Fcntl.O_NONBLOCK);
        if (Syscall.IsError(fd))
        {
            return fd;
        }

        long result = child.Call(SyscallNumber.ioctl, fd, UFFDIO_API, child.Put(new uffdio_api { api = UFFD_API, features = features }));
        return Syscall.IsError(result) ? result : fd;
    }

    private static long WrittenPage(ProbeChild child)
    {
        long page = child.Map(Memory.PageSize);
        Touch(child, page);
        return page;
    }

    // A write of the process itself, by a call that answers into the page.
    private static void Touch(ProbeChild child, long page) =>
        child.Must("clock_gettime", SyscallNumber.clock_gettime, Nap.CLOCK_MONOTONIC, page);

    private static bool IsSoftDirty(ProbeChild child, long page)
    {
        using PageMap map = PageMap.Open(child.Proc);
        PageMapEntry[] entry = new PageMapEntry[1];
        return map.ReadEntries((ulong)page, entry) == 1 && entry[0].IsSoftDirty;
    }

    private static bool IsWritten(ProbeChild child, long page)
    {
        PageQuery query = new(PageCategories.Written, AllOf: PageCategories.WriteProtectAllowed | PageCategories.Written);
        return Regions(child, page, query).Count > 0;
    }

    private static List<PageRegion> Regions(ProbeChild child, long page, PageQuery query)
    {
        using PageMap map = PageMap.Open(child.Proc);
        List<PageRegion> regions = [];
        map.Scan((ulong)page, (ulong)page + Memory.PageSize, query, regions);
        return regions;
    }
}
