using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Restore;

/// <summary>Finds a part of the address space that neither the newborn nor the images use: there the restorer lives.</summary>
internal static class AddressHole
{
    private const ulong Lowest = 1UL << 32;

    // A stack that grows keeps 256 pages of distance to what lies below it (mm/mmap.c, stack_guard_gap).
    private const ulong Margin = 512 * Memory.PageSize;

    /// <summary>The lowest address above 4 GiB where so many bytes are free, with room around.</summary>
    public static ulong Find(IEnumerable<(ulong Start, ulong End)> used, ulong size, ulong end)
    {
        ulong at = Lowest + Margin;
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
