using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Objects.Memory;

/// <summary>
/// One mapping of a process (struct vm_area_struct). /proc/PID/smaps tells range, protection, file and flags; mmap(2) at the same address, mprotect(2),
/// madvise(2) and mlock(2) in the process make it again. This type holds what a mapping is; <see cref="MappingRestore"/> makes it.
/// </summary>
internal sealed class Mapping
{
    private static readonly (VmFlags Flag, int Advice)[] s_advice =
    [
        (VmFlags.SequentialRead, Kernel.Memory.MADV_SEQUENTIAL), (VmFlags.RandomRead, Kernel.Memory.MADV_RANDOM),
        (VmFlags.DontFork, Kernel.Memory.MADV_DONTFORK), (VmFlags.DontDump, Kernel.Memory.MADV_DONTDUMP),
        (VmFlags.Mergeable, Kernel.Memory.MADV_MERGEABLE), (VmFlags.HugePage, Kernel.Memory.MADV_HUGEPAGE),
        (VmFlags.NoHugePage, Kernel.Memory.MADV_NOHUGEPAGE), (VmFlags.WipeOnFork, Kernel.Memory.MADV_WIPEONFORK),
    ];

    private const VmFlags NotOurs = VmFlags.DeviceIo | VmFlags.PageFrames | VmFlags.MixedMap;

    private readonly SmapsEntry _smaps;

    public Mapping(SmapsEntry smaps)
    {
        _smaps = smaps;
        Status = Classify(smaps.Vma);
    }

    public Vma Vma => _smaps.Vma;

    public VmFlags Flags => _smaps.Flags;

    public VmaStatus Status { get; }

    /// <summary>The id of the file behind it in the images, 0 for none.</summary>
    public uint FileId { get; set; }

    public bool IsSpecial => (Status & (VmaStatus.Vdso | VmaStatus.Vvar | VmaStatus.Vsyscall)) != 0;

    public bool HasFile => (Status & (VmaStatus.FilePrivate | VmaStatus.FileShared)) != 0;

    /// <summary>Whether rings of io_uring are behind it, which come back with their descriptor.</summary>
    public bool IsRing => Vma.Path.Bytes.SequenceEqual("anon_inode:[io_uring]"u8);

    /// <summary>Whether it is a ring of io_setup (<see cref="AioRing"/>).</summary>
    public bool IsAioRing => Status == VmaStatus.AioRing;

    /// <summary>Whether memory without a name is behind it (<see cref="SharedMemory"/>).</summary>
    public bool IsSharedMemory => (Status & VmaStatus.MemFd) != 0;

    /// <summary>Whether pages of its own can be in it: those of private mappings, the vDSO, and rings.</summary>
    /// <remarks>What is in droppable memory may be gone at any time, and its program knows that: it is not saved.</remarks>
    public bool HasContent => (Status & (VmaStatus.AnonymousPrivate | VmaStatus.FilePrivate | VmaStatus.Vdso | VmaStatus.AioRing)) != 0 && !Has(VmFlags.Droppable);

    /// <summary>Why it cannot be dumped and what would help; null where it can.</summary>
    public (string Reason, string Remedy)? Objection()
    {
        string path = Vma.Path.ToDisplayString();
        if (IsSpecial)
        {
            return null;
        }

        if (WatchedMemory.Objection(this) is { } watched)
        {
            return watched;
        }

        if (_smaps.ProtectionKey != 0 && Vma.Protection != VmaProtection.Execute)
        {
            return ($"it has the protection key {_smaps.ProtectionKey} (pkeys)", "let the program give it key 0 (pkey_mprotect)");
        }

        if (!_smaps.UnknownFlags.Bytes.IsEmpty)
        {
            return ($"the kernel marks it with '{_smaps.UnknownFlags.ToDisplayString()}' (VmFlags), which nobody here knows", "use a later version");
        }

        if ((Flags & VmFlags.ShadowStack) != 0)
        {
            return ("it is a shadow stack", "start the program without GLIBC_TUNABLES=glibc.cpu.hwcaps=SHSTK");
        }

        if ((Flags & VmFlags.Sealed) != 0)
        {
            return ("it is sealed (mseal)", "this kind of memory is not supported");
        }

        if ((Flags & NotOurs) != 0 || path.StartsWith("anon_inode:", StringComparison.Ordinal) || path is "[uprobes]"
            || path.StartsWith("socket:", StringComparison.Ordinal))
        {
            return ("it is memory of a device or of a kernel facility", "close the device or facility before the dump");
        }

        if (path.StartsWith("/SYSV", StringComparison.Ordinal))
        {
            return ("it is a System V shared memory segment", "detach it before the dump; this kind of memory is not supported yet");
        }

        return null;
    }

    /// <summary>The mapping as the image keeps it.</summary>
    public VmaEntry ToEntry()
    {
        bool anonymous = (Status & VmaStatus.AnonymousPrivate) != 0 || IsSpecial;
        int flags = Vma.Shared ? Kernel.Memory.MAP_SHARED : Has(VmFlags.Droppable) ? Kernel.Memory.MAP_DROPPABLE : Kernel.Memory.MAP_PRIVATE;
        flags |= anonymous ? Kernel.Memory.MAP_ANONYMOUS : 0;
        flags |= Has(VmFlags.GrowsDown) ? Kernel.Memory.MAP_GROWSDOWN : 0;
        flags |= Has(VmFlags.Locked) ? Kernel.Memory.MAP_LOCKED : 0;
        flags |= Has(VmFlags.NoReserve) ? Kernel.Memory.MAP_NORESERVE : 0;
        flags |= Has(VmFlags.HugeTlb) ? Kernel.Memory.MAP_HUGETLB : 0;
        flags |= Has(VmFlags.HugeTlb) && (anonymous || IsSharedMemory) ? (int)HugePages.FlagOf(_smaps.PageSize) : 0;
        ulong advice = 0;
        foreach ((VmFlags flag, int number) in IsSpecial ? [] : s_advice)
        {
            advice |= Has(flag) ? 1UL << number : 0;
        }

        VmaEntry entry = new()
        {
            Start = Vma.Start, End = Vma.End, Pgoff = HasFile ? Vma.Offset : 0, Shmid = FileId, Prot = (uint)Vma.Protection, Flags = (uint)flags,
            Status = (uint)Status, Fd = -1, Madv = advice,
        };
        if (HasFile)
        {
            bool writes = Vma.Shared && Has(VmFlags.MayWrite);
            entry.Fdflags = (uint)(writes ? Fcntl.O_RDWR : Fcntl.O_RDONLY);
        }

        return entry;
    }

    /// <summary>Adds what that entry has no place for, where there is something.</summary>
    public void AddExtra(ProcessDump process)
    {
        ReadOnlySpan<byte> prefix = "[anon:"u8, path = Vma.Path.Bytes;
        if (path.StartsWith(prefix) && path.EndsWith("]"u8))
        {
            process.ExtraOf(this).Name = Google.Protobuf.ByteString.CopyFrom(path[prefix.Length..^1]);
        }

        if (Has(VmFlags.LockOnFault))
        {
            process.ExtraOf(this).LockOnFault = true;
        }
    }

    public override string ToString() => $"mapping {Vma.Start:x}-{Vma.End:x} {Vma.Path.ToDisplayString()}".TrimEnd();

    private bool Has(VmFlags flag) => (Flags & flag) != 0;

    private static VmaStatus Classify(Vma vma)
    {
        ReadOnlySpan<byte> path = vma.Path.Bytes;
        if (path.SequenceEqual("[vsyscall]"u8))
        {
            return VmaStatus.Vsyscall | VmaStatus.AnonymousPrivate;
        }

        if (vma.IsVdso)
        {
            return VmaStatus.Regular | VmaStatus.Vdso | VmaStatus.AnonymousPrivate;
        }

        if (path.SequenceEqual("[vvar]"u8) || path.SequenceEqual("[vvar_vclock]"u8))
        {
            return VmaStatus.Regular | VmaStatus.Vvar | VmaStatus.AnonymousPrivate;
        }

        if (path.SequenceEqual("[heap]"u8))
        {
            return VmaStatus.Regular | VmaStatus.Heap | VmaStatus.AnonymousPrivate;
        }

        if (!vma.HasFile || (!vma.Shared && (path.SequenceEqual(SharedMemory.AnonymousName) || path.StartsWith(HugePages.AnonymousName))))
        {
            return VmaStatus.Regular | VmaStatus.AnonymousPrivate;
        }

        if (AioRing.Is(vma))
        {
            return VmaStatus.AioRing;
        }

        VmaStatus status = VmaStatus.Regular | (vma.Shared ? VmaStatus.FileShared : VmaStatus.FilePrivate);
        return SharedMemory.Is(vma) ? status | VmaStatus.MemFd : status;
    }
}
