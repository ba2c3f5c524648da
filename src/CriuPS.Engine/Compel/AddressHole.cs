using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Compel;

/// <summary>Finds a part of the address space that nobody uses: there the restorer lives, and in 32-bit programs the parasite.</summary>
internal static class AddressHole
{
    private const ulong Usual = 1UL << 32, LowestOfCompat = 1UL << 20;

    // A stack that grows keeps 256 pages of distance to what lies below it (mm/mmap.c, stack_guard_gap).
    private const ulong Margin = 512 * Memory.PageSize;

    /// <summary>The lowest address where so many bytes are free, with room around: above 4 GiB, or below where 32-bit programs are to reach it.</summary>
    public static ulong Find(IEnumerable<(ulong Start, ulong End)> used, ulong size, IArchitecture architecture, bool compat)
    {
        ulong at = (compat ? LowestOfCompat : Usual) + Margin, end = compat ? architecture.CompatTaskSize : architecture.TaskSize;
        foreach ((ulong start, ulong stop) in used.OrderBy(range => range.Start))
        {
            if (stop + Margin <= at)
            {
                continue;
            }

            if (start >= at + size + Margin)
            {
                break;
            }

            at = Math.Max(at, stop + Margin);
        }

        return at + size + Margin <= end
            ? at
            : throw new CriuException("NoAddressSpace", CriuErrorKind.NotSupported, $"the address space of the process has no hole of {size} bytes");
    }
}
