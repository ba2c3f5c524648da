using CriuPS.Engine.Compel;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Objects.Memory;

/// <summary>
/// Guard pages inside mappings (MADV_GUARD_INSTALL, since Linux 6.13): the kernel keeps a marker in the page table and no mapping of their own.
/// PAGEMAP_SCAN tells them since Linux 6.15. Images keep them as entries of their own kind behind all mappings; madvise(2) installs them again.
/// </summary>
internal static class GuardRegions
{
    /// <summary>The guards of a process, by ascending address.</summary>
    public static List<VmaEntry> Find(ProcDirectory proc, IReadOnlyList<Mapping> mappings)
    {
        List<VmaEntry> guards = [];
        if (!mappings.Any(m => (m.Flags & VmFlags.MaybeGuard) != 0))
        {
            return guards;
        }

        using Proc.PageMap pageMap = Proc.PageMap.Open(proc);
        List<PageRegion> regions = [];
        PageQuery query = new(PageCategories.Guard, AllOf: PageCategories.Guard);
        foreach (Mapping mapping in mappings.Where(m => (m.Flags & VmFlags.MaybeGuard) != 0))
        {
            pageMap.Scan(mapping.Vma.Start, mapping.Vma.End, query, regions);
        }

        foreach (PageRegion region in regions)
        {
            guards.Add(new VmaEntry
            {
                Start = region.Start, End = region.End, Status = (uint)VmaStatus.Guard, Fd = -1, Pgoff = 0, Shmid = 0, Prot = 0,
                Flags = Kernel.Memory.MAP_PRIVATE | Kernel.Memory.MAP_ANONYMOUS,
            });
        }

        return guards;
    }

    public static bool IsGuard(VmaEntry entry) => ((VmaStatus)entry.Status & VmaStatus.Guard) != 0;

    /// <summary>Installs a guard, after the content around it is there.</summary>
    public static void Install(RemoteBatch batch, VmaEntry guard) =>
        batch.Add(
            $"madvise(MADV_GUARD_INSTALL) of {guard.Start:x}-{guard.End:x}",
            SyscallNumber.madvise,
            guard.Start,
            guard.End - guard.Start,
            Kernel.Memory.MADV_GUARD_INSTALL);
}
