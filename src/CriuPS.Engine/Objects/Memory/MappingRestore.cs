using CriuPS.Engine.Compel;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Objects.Memory;

/// <summary>
/// Makes the mappings of an image in a newborn, at the same addresses. Content comes between: first every mapping is made writable where
/// content follows, then pages are read, then protections and advice get their saved values.
/// </summary>
internal static class MappingRestore
{
    private const int AdviceBits = 64;

    /// <summary>How the file behind an area is opened. Old images do not say; then a shared area that is writable needs both directions.</summary>
    public static int OpenFlags(VmaEntry entry)
    {
        bool writes = (entry.Flags & Kernel.Memory.MAP_SHARED) != 0 && (entry.Prot & Kernel.Memory.PROT_WRITE) != 0;
        return entry.HasFdflags ? (int)entry.Fdflags : writes ? Fcntl.O_RDWR : Fcntl.O_RDONLY;
    }

    /// <summary>Maps one area; the result is its protection until <see cref="Settle"/>.</summary>
    /// <param name="batch">The process.</param>
    /// <param name="entry">The image.</param>
    /// <param name="file">The file in the process; null for anonymous memory.</param>
    /// <param name="hasContent">Whether pages will be read into it.</param>
    public static uint Map(RemoteBatch batch, VmaEntry entry, RemoteDescriptor? file, bool hasContent)
    {
        // Shared anonymous memory has a file behind it, although its entry may say that it is anonymous.
        const uint Always = Kernel.Memory.MAP_SHARED | Kernel.Memory.MAP_PRIVATE | Kernel.Memory.MAP_DROPPABLE | Kernel.Memory.MAP_GROWSDOWN
            | Kernel.Memory.MAP_NORESERVE;
        const uint Huge = Kernel.Memory.MAP_HUGETLB | ((uint)Kernel.Memory.MAP_HUGE_MASK << Kernel.Memory.MAP_HUGE_SHIFT);
        uint kept = file is null ? Always | Kernel.Memory.MAP_ANONYMOUS | Huge : Always;
        uint protection = entry.Prot | (hasContent ? Kernel.Memory.PROT_WRITE : 0u);
        long kind = AioRing.Is(entry) ? Kernel.Memory.MAP_PRIVATE | Kernel.Memory.MAP_ANONYMOUS : entry.Flags & kept;
        long flags = kind | Kernel.Memory.MAP_FIXED_NOREPLACE;
        Argument fd = file is null ? -1L : file;
        batch.Add(new Subject("mmap of", entry), SyscallNumber.mmap, entry.Start, entry.End - entry.Start, (long)protection, flags, fd, entry.Pgoff);
        return protection;
    }

    /// <summary>Changes the protection of an area.</summary>
    public static void Protect(RemoteBatch batch, VmaEntry entry, uint protection) =>
        batch.Add(new Subject("mprotect of", entry), SyscallNumber.mprotect, entry.Start, entry.End - entry.Start, (long)protection);

    /// <summary>Gives an area its protection, advice, lock and name, after its content is there.</summary>
    /// <param name="batch">The process.</param>
    /// <param name="entry">The image.</param>
    /// <param name="extra">What that image has no place for.</param>
    /// <param name="protection">What its protection is now.</param>
    public static void Settle(RemoteBatch batch, VmaEntry entry, CriupsMappingEntry? extra, uint protection)
    {
        ulong length = entry.End - entry.Start;
        if (protection != entry.Prot)
        {
            Protect(batch, entry, entry.Prot);
        }

        for (int advice = 0; advice < AdviceBits && entry.Madv != 0; advice++)
        {
            if ((entry.Madv & (1UL << advice)) != 0)
            {
                batch.Add(new Subject($"madvise({advice}) of", entry), SyscallNumber.madvise, entry.Start, length, advice);
            }
        }

        if ((entry.Flags & Kernel.Memory.MAP_LOCKED) != 0)
        {
            // mlock of an area without any access marks it and then says ENOMEM, because there is nothing to bring in.
            int flags = extra is { LockOnFault: true } ? Kernel.Memory.MLOCK_ONFAULT : 0;
            batch.Room(1).Try(new Subject("mlock2 of", entry), SyscallNumber.mlock2, entry.Start, length, flags);
        }

        if (extra is { HasName: true })
        {
            SyscallProgram program = batch.Room(1, extra.Name.Length + 1);
            ulong name = program.Put([.. extra.Name.Span, 0]);
            program.Add(
                new Subject("prctl(PR_SET_VMA_ANON_NAME) of", entry), SyscallNumber.prctl, Prctl.PR_SET_VMA, Prctl.PR_SET_VMA_ANON_NAME,
                entry.Start, length, name);
        }
    }

    /// <summary>What an operation is about; the text is only made when it fails.</summary>
    private sealed record Subject(string Act, VmaEntry Entry)
    {
        public override string ToString() => $"{Act} {Entry.Start:x}-{Entry.End:x}";
    }
}
