using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Check;

/// <summary>Mappings and what is in them: mmap(2), madvise(2), memfd_create(2), io_setup(2), and what /proc tells of them.</summary>
internal static class MemoryFeatures
{
    private const int MFD_HUGETLB = 4, RingEntries = 16;

    public static readonly Feature Links = new("map_files", FeatureCategory.Basic, ProbeLinks)
    {
        NeededFor = "opening the very files that a process has mapped, deleted ones too", Required = true, Since = "Linux 4.3",
        Privilege = "CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN",
    };

    public static readonly Feature Flags = new("smaps_vmflags", FeatureCategory.Engine, ProbeFlags)
    {
        NeededFor = "the flags of mappings", Required = true, Since = "Linux 3.8 with CONFIG_PROC_PAGE_MONITOR",
    };

    public static readonly Feature Populate = new("populate_write", FeatureCategory.Engine, ProbePopulate)
    {
        NeededFor = "filling memory in bulk at the restore", Required = true, Since = "Linux 5.14",
    };

    public static readonly Feature Guard = new("guard_install", FeatureCategory.Engine, ProbeGuard)
    {
        NeededFor = "programs with guard pages, at the restore", Since = "Linux 6.13",
    };

    public static readonly Feature Name = new("vma_anon_name", FeatureCategory.Engine, ProbeName)
    {
        NeededFor = "names of anonymous mappings", Since = "Linux 5.17 with CONFIG_ANON_VMA_NAME",
    };

    public static readonly Feature HugePagesOff = new("thp_disable", FeatureCategory.Engine, ProbeHugePagesOff)
    {
        NeededFor = "processes that switched transparent huge pages off", Since = "Linux 3.15",
    };

    public static readonly Feature Ring = new("aio_remap", FeatureCategory.Extra, ProbeRing)
    {
        NeededFor = "programs with asynchronous I/O (io_setup)", KnownToCriu = true, Since = "Linux 3.19 with CONFIG_AIO",
    };

    public static readonly Feature HugeMemfd = new("memfd_hugetlb", FeatureCategory.Extra, ProbeHugeMemfd)
    {
        NeededFor = "memfds of huge pages", KnownToCriu = true, Since = "Linux 4.16 with CONFIG_HUGETLBFS",
    };

    private static Answer ProbeLinks(ProbeBench bench)
    {
        ProbeChild child = bench.Child;
        Vma program = ProcMaps.Read(child.Proc).First(vma => vma.HasFile);
        using SafeFileHandle file = MapFiles.Open(child.Proc, program);
        FileStatus.stat status = FileStatus.Of(file);
        return Answer.Of("opening a file of /proc/PID/map_files", status.st_ino == program.Inode);
    }

    private static Answer ProbeFlags(ProbeBench bench) =>
        Answer.Of("VmFlags of /proc/PID/smaps", ProcSmaps.ReadFlags(bench.Child.Proc).All(entry => entry.Flags != 0));

    private static Answer ProbePopulate(ProbeBench bench)
    {
        using ProbeChild child = bench.Fresh();
        return Answer.Of(
            "madvise(MADV_POPULATE_WRITE)",
            child.Call(SyscallNumber.madvise, child.Map(Memory.PageSize), Memory.PageSize, Memory.MADV_POPULATE_WRITE));
    }

    private static Answer ProbeGuard(ProbeBench bench)
    {
        using ProbeChild child = bench.Fresh();
        return Answer.Of(
            "madvise(MADV_GUARD_INSTALL)",
            child.Call(SyscallNumber.madvise, child.Map(Memory.PageSize), Memory.PageSize, Memory.MADV_GUARD_INSTALL));
    }

    private static Answer ProbeName(ProbeBench bench)
    {
        using ProbeChild child = bench.Fresh();
        long page = child.Map(Memory.PageSize);
        long result = child.Call(
            SyscallNumber.prctl, Prctl.PR_SET_VMA, Prctl.PR_SET_VMA_ANON_NAME, page, Memory.PageSize, child.Put("probe"));
        return Syscall.IsError(result)
            ? Answer.Of("prctl(PR_SET_VMA_ANON_NAME)", result)
            : Answer.Of("prctl(PR_SET_VMA_ANON_NAME)", At(child, page).Path.Bytes.SequenceEqual("[anon:probe]"u8));
    }

    private static Answer ProbeHugePagesOff(ProbeBench bench)
    {
        using ProbeChild child = bench.Fresh();
        long result = child.Call(SyscallNumber.prctl, Prctl.PR_SET_THP_DISABLE, 1, 0, 0, 0);
        return Syscall.IsError(result)
            ? Answer.Of("prctl(PR_SET_THP_DISABLE)", result)
            : Answer.Of("prctl(PR_SET_THP_DISABLE)", child.Call(SyscallNumber.prctl, Prctl.PR_GET_THP_DISABLE, 0, 0, 0, 0) == 1);
    }

    // The kernel knows a ring by its address: it must still know it where it was moved to (fs/aio.c, aio_ring_mremap).
    private static Answer ProbeRing(ProbeBench bench)
    {
        using ProbeChild child = bench.Fresh();
        long context = child.Room(sizeof(ulong));
        long result = child.Call(SyscallNumber.io_setup, RingEntries, context);
        if (Syscall.IsError(result))
        {
            return Answer.Of("io_setup", result);
        }

        Vma ring = At(child, child.Read<long>(context));
        long place = child.Map((long)ring.Length);
        child.Must("mremap", SyscallNumber.mremap, (long)ring.Start, (long)ring.Length, (long)ring.Length,
            Memory.MREMAP_MAYMOVE | Memory.MREMAP_FIXED, place);
        return Answer.Of("io_getevents of a ring that was moved", child.Call(SyscallNumber.io_getevents, place, 0, 1, 0, 0));
    }

    private static Answer ProbeHugeMemfd(ProbeBench bench)
    {
        ProbeChild child = bench.Child;
        return Answer.Of("memfd_create(MFD_HUGETLB)", child.Call(SyscallNumber.memfd_create, child.Put("probe"), MFD_HUGETLB));
    }

    private static Vma At(ProbeChild child, long address) => ProcMaps.Read(child.Proc).First(vma => vma.Start == (ulong)address);
}
