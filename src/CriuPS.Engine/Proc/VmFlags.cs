namespace CriuPS.Engine.Proc;

/// <summary>
/// The two-letter marks of a VmFlags line (fs/proc/task_mmu.c, show_smap_vma_flags; proc_pid_smaps(5)). The values are this enumeration's
/// own: the kernel's bits differ between versions.
/// </summary>
[Flags]
public enum VmFlags : ulong
{
    None = 0,

    /// <summary><c>rd</c></summary>
    Read = 1UL << 0,

    /// <summary><c>wr</c></summary>
    Write = 1UL << 1,

    /// <summary><c>ex</c></summary>
    Execute = 1UL << 2,

    /// <summary><c>sh</c></summary>
    Shared = 1UL << 3,

    /// <summary><c>mr</c></summary>
    MayRead = 1UL << 4,

    /// <summary><c>mw</c></summary>
    MayWrite = 1UL << 5,

    /// <summary><c>me</c></summary>
    MayExecute = 1UL << 6,

    /// <summary><c>ms</c></summary>
    MayShare = 1UL << 7,

    /// <summary><c>gd</c>: a stack, MAP_GROWSDOWN.</summary>
    GrowsDown = 1UL << 8,

    /// <summary><c>pf</c>: bare page frames, no struct page behind them.</summary>
    PageFrames = 1UL << 9,

    /// <summary><c>lo</c>: mlock.</summary>
    Locked = 1UL << 10,

    /// <summary><c>io</c>: a device's memory.</summary>
    DeviceIo = 1UL << 11,

    /// <summary><c>sr</c>: MADV_SEQUENTIAL.</summary>
    SequentialRead = 1UL << 12,

    /// <summary><c>rr</c>: MADV_RANDOM.</summary>
    RandomRead = 1UL << 13,

    /// <summary><c>dc</c>: MADV_DONTFORK.</summary>
    DontFork = 1UL << 14,

    /// <summary><c>de</c>: mremap may not enlarge it.</summary>
    DontExpand = 1UL << 15,

    /// <summary><c>lf</c>: mlock2 with MLOCK_ONFAULT.</summary>
    LockOnFault = 1UL << 16,

    /// <summary><c>ac</c>: counted against the overcommit limit.</summary>
    Account = 1UL << 17,

    /// <summary><c>nr</c>: MAP_NORESERVE.</summary>
    NoReserve = 1UL << 18,

    /// <summary><c>ht</c>: hugetlbfs.</summary>
    HugeTlb = 1UL << 19,

    /// <summary><c>sf</c>: MAP_SYNC.</summary>
    SynchronousFaults = 1UL << 20,

    /// <summary><c>ar</c>: the architecture's own mark.</summary>
    Architecture = 1UL << 21,

    /// <summary><c>wf</c>: MADV_WIPEONFORK.</summary>
    WipeOnFork = 1UL << 22,

    /// <summary><c>dd</c>: MADV_DONTDUMP.</summary>
    DontDump = 1UL << 23,

    /// <summary><c>bt</c>: arm64 branch target identification.</summary>
    BranchTargets = 1UL << 24,

    /// <summary><c>sd</c>: written since soft-dirty was cleared, or new.</summary>
    SoftDirty = 1UL << 25,

    /// <summary><c>mm</c>: page frames and struct pages mixed.</summary>
    MixedMap = 1UL << 26,

    /// <summary><c>hg</c>: MADV_HUGEPAGE.</summary>
    HugePage = 1UL << 27,

    /// <summary><c>nh</c>: MADV_NOHUGEPAGE.</summary>
    NoHugePage = 1UL << 28,

    /// <summary><c>mg</c>: MADV_MERGEABLE.</summary>
    Mergeable = 1UL << 29,

    /// <summary><c>um</c>: registered with userfaultfd for missing pages.</summary>
    UserFaultMissing = 1UL << 30,

    /// <summary><c>uw</c>: registered with userfaultfd for write protection.</summary>
    UserFaultWriteProtect = 1UL << 31,

    /// <summary><c>ui</c>: registered with userfaultfd for minor faults.</summary>
    UserFaultMinor = 1UL << 32,

    /// <summary><c>mt</c>: arm64 memory tags.</summary>
    MemoryTags = 1UL << 33,

    /// <summary><c>ss</c>: a shadow stack.</summary>
    ShadowStack = 1UL << 34,

    /// <summary><c>sl</c>: mseal.</summary>
    Sealed = 1UL << 35,

    /// <summary><c>dp</c>: MAP_DROPPABLE.</summary>
    Droppable = 1UL << 36,

    /// <summary><c>gu</c>: may hold guard pages (MADV_GUARD_INSTALL).</summary>
    MaybeGuard = 1UL << 37,
}

/// <summary>Reads VmFlags lines.</summary>
internal static class VmFlagNames
{
    /// <summary>The flag of a two-letter mark, or none for one that is not known.</summary>
    public static VmFlags Find(ReadOnlySpan<byte> mark) => mark.Length != 2 ? VmFlags.None : ((char)mark[0], (char)mark[1]) switch
    {
        ('r', 'd') => VmFlags.Read,
        ('w', 'r') => VmFlags.Write,
        ('e', 'x') => VmFlags.Execute,
        ('s', 'h') => VmFlags.Shared,
        ('m', 'r') => VmFlags.MayRead,
        ('m', 'w') => VmFlags.MayWrite,
        ('m', 'e') => VmFlags.MayExecute,
        ('m', 's') => VmFlags.MayShare,
        ('g', 'd') => VmFlags.GrowsDown,
        ('p', 'f') => VmFlags.PageFrames,
        ('l', 'o') => VmFlags.Locked,
        ('i', 'o') => VmFlags.DeviceIo,
        ('s', 'r') => VmFlags.SequentialRead,
        ('r', 'r') => VmFlags.RandomRead,
        ('d', 'c') => VmFlags.DontFork,
        ('d', 'e') => VmFlags.DontExpand,
        ('l', 'f') => VmFlags.LockOnFault,
        ('a', 'c') => VmFlags.Account,
        ('n', 'r') => VmFlags.NoReserve,
        ('h', 't') => VmFlags.HugeTlb,
        ('s', 'f') => VmFlags.SynchronousFaults,
        ('a', 'r') => VmFlags.Architecture,
        ('w', 'f') => VmFlags.WipeOnFork,
        ('d', 'd') => VmFlags.DontDump,
        ('b', 't') => VmFlags.BranchTargets,
        ('s', 'd') => VmFlags.SoftDirty,
        ('m', 'm') => VmFlags.MixedMap,
        ('h', 'g') => VmFlags.HugePage,
        ('n', 'h') => VmFlags.NoHugePage,
        ('m', 'g') => VmFlags.Mergeable,
        ('u', 'm') => VmFlags.UserFaultMissing,
        ('u', 'w') => VmFlags.UserFaultWriteProtect,
        ('u', 'i') => VmFlags.UserFaultMinor,
        ('m', 't') => VmFlags.MemoryTags,
        ('s', 's') => VmFlags.ShadowStack,
        ('s', 'l') => VmFlags.Sealed,
        ('d', 'p') => VmFlags.Droppable,
        ('g', 'u') => VmFlags.MaybeGuard,
        _ => VmFlags.None,
    };
}
