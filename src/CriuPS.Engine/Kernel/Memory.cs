namespace CriuPS.Engine.Kernel;

/// <summary>mmap(2), mprotect(2), mremap(2), madvise(2): constants (asm-generic/mman*.h, arch/x86/include/uapi/asm/mman.h) and own mappings.</summary>
internal static unsafe class Memory
{
    public const int PROT_NONE = 0, PROT_READ = 1, PROT_WRITE = 2, PROT_EXEC = 4;
    public const int MAP_SHARED = 1, MAP_PRIVATE = 2, MAP_FIXED = 0x10, MAP_ANONYMOUS = 0x20, MAP_32BIT = 0x40, MAP_GROWSDOWN = 0x100, MAP_LOCKED = 0x2000;
    public const int MAP_NORESERVE = 0x4000, MAP_STACK = 0x20000, MAP_HUGETLB = 0x40000, MAP_FIXED_NOREPLACE = 0x100000, MAP_DROPPABLE = 8;
    public const int MAP_HUGE_SHIFT = 26, MAP_HUGE_MASK = 0x3f;
    public const int MLOCK_ONFAULT = 1;
    public const int MREMAP_MAYMOVE = 1, MREMAP_FIXED = 2;
    public const int MADV_RANDOM = 1, MADV_SEQUENTIAL = 2, MADV_DONTNEED = 4, MADV_DONTFORK = 10, MADV_MERGEABLE = 12, MADV_HUGEPAGE = 14, MADV_NOHUGEPAGE = 15;
    public const int MADV_DONTDUMP = 16, MADV_WIPEONFORK = 18, MADV_POPULATE_WRITE = 23, MADV_GUARD_INSTALL = 102;

    /// <summary>The page size; the only one of x86-64.</summary>
    public const int PageSize = 4096;

    /// <summary>Maps private anonymous memory of this process.</summary>
    public static ulong MapAnonymous(ulong length, int protection, int flags = 0) =>
        (ulong)Syscall.Check(
            Syscall.Invoke(SyscallNumber.mmap, 0, (long)length, protection, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0),
            () => $"mmap({length} bytes)");

    /// <summary>Maps new shared anonymous memory of this process; it promises no memory before it is written to.</summary>
    /// <param name="length">Bytes.</param>
    /// <param name="flags">What else is asked for.</param>
    public static ulong MapSharedAnonymous(ulong length, int flags = 0) =>
        (ulong)Syscall.Check(
            Syscall.Invoke(SyscallNumber.mmap, 0, (long)length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0),
            () => $"mmap({length} shared bytes)");

    /// <summary>Reads a part of one page of a file as mappings of it see it, beyond the file's end too.</summary>
    public static void ReadMapped(Microsoft.Win32.SafeHandles.SafeFileHandle file, long offset, Span<byte> buffer)
    {
        ulong page = MapPage(file, offset, PROT_READ);
        new ReadOnlySpan<byte>((byte*)page + offset % PageSize, buffer.Length).CopyTo(buffer);
        Unmap(page, PageSize);
    }

    /// <summary>Writes a part of one page of a file through a mapping, beyond the file's end too.</summary>
    public static void WriteMapped(Microsoft.Win32.SafeHandles.SafeFileHandle file, long offset, ReadOnlySpan<byte> bytes)
    {
        ulong page = MapPage(file, offset, PROT_READ | PROT_WRITE);
        bytes.CopyTo(new Span<byte>((byte*)page + offset % PageSize, bytes.Length));
        Unmap(page, PageSize);
    }

    public static void Protect(ulong address, ulong length, int protection) =>
        Syscall.Check(Syscall.Invoke(SyscallNumber.mprotect, (long)address, (long)length, protection), () => $"mprotect(0x{address:x})");

    public static void Unmap(ulong address, ulong length) =>
        Syscall.Check(Syscall.Invoke(SyscallNumber.munmap, (long)address, (long)length), () => $"munmap(0x{address:x})");

    private static ulong MapPage(Microsoft.Win32.SafeHandles.SafeFileHandle file, long offset, int protection)
    {
        using var hold = new DescriptorHold(file);
        long result = Syscall.Invoke(SyscallNumber.mmap, 0, PageSize, protection, MAP_SHARED, hold.Number, offset & -PageSize);
        return (ulong)Syscall.Check(result, () => $"mmap of a file's page at 0x{offset:x}");
    }
}
