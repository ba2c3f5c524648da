namespace CriuPS.Engine.Proc;

/// <summary>One 64-bit entry of /proc/PID/pagemap (Documentation/admin-guide/mm/pagemap.rst).</summary>
/// <param name="Value">The bits as the kernel wrote them.</param>
public readonly record struct PageMapEntry(ulong Value)
{
    private const ulong SoftDirtyBit = 1UL << 55;
    private const ulong ExclusiveBit = 1UL << 56;
    private const ulong UserFaultWriteProtectBit = 1UL << 57;
    private const ulong GuardBit = 1UL << 58;
    private const ulong FileBit = 1UL << 61;
    private const ulong SwappedBit = 1UL << 62;
    private const ulong PresentBit = 1UL << 63;
    private const ulong FrameMask = (1UL << 55) - 1;

    /// <summary>Bit 63: the page is in memory.</summary>
    public bool IsPresent => (Value & PresentBit) != 0;

    /// <summary>Bit 62: the page is swapped out.</summary>
    public bool IsSwapped => (Value & SwappedBit) != 0;

    /// <summary>Bit 61: the page belongs to a file or to shared memory; clear for the copied pages of a private file mapping.</summary>
    public bool IsFile => (Value & FileBit) != 0;

    /// <summary>Bit 58: a guard page, since Linux 6.15.</summary>
    public bool IsGuard => (Value & GuardBit) != 0;

    /// <summary>Bit 57: write-protected by userfaultfd.</summary>
    public bool IsUserFaultWriteProtected => (Value & UserFaultWriteProtectBit) != 0;

    /// <summary>Bit 56: no other process maps it.</summary>
    public bool IsExclusive => (Value & ExclusiveBit) != 0;

    /// <summary>Bit 55: written since soft-dirty bits were cleared.</summary>
    public bool IsSoftDirty => (Value & SoftDirtyBit) != 0;

    /// <summary>Bits 0 to 54: the page frame of a present page, 0 without CAP_SYS_ADMIN.</summary>
    public ulong Frame => IsPresent ? Value & FrameMask : 0;

    /// <summary>The same in the terms of PAGEMAP_SCAN, as far as <see cref="PageMap.EntryCategories"/> goes.</summary>
    public PageCategories Categories =>
        (IsPresent ? PageCategories.Present : 0)
        | (IsSwapped ? PageCategories.Swapped : 0)
        | (IsFile ? PageCategories.File : 0)
        | (IsGuard ? PageCategories.Guard : 0)
        | (IsSoftDirty ? PageCategories.SoftDirty : 0);
}
