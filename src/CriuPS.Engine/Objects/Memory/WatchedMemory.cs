using CriuPS.Engine.Compel;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Objects.Memory;

/// <summary>
/// Memory that is registered with userfaultfd(2) (vm_area_struct.vm_userfaultfd_ctx). VmFlags tell what it is registered for; with which file, only a BPF
/// program does. A page that is absent means something here, as does one of zeros that is there, and one that is write-protected: the page map tells. The
/// process registers it again (UFFDIO_REGISTER, since Linux 4.3; write protection since 5.7) when its pages are there.
/// </summary>
internal static class WatchedMemory
{
    /// <summary>Flags of memory whose absent pages somebody waits for, or who writes to it.</summary>
    public const VmFlags Flags = VmFlags.UserFaultMissing | VmFlags.UserFaultWriteProtect;

    /// <summary>Features by which pages that are absent carry marks, which nothing tells.</summary>
    public const ulong MarkingFeatures = UserFault.UFFD_FEATURE_WP_UNPOPULATED | UserFault.UFFD_FEATURE_POISON | UserFault.UFFD_FEATURE_WP_ASYNC;

    public static bool Is(Mapping mapping) => (mapping.Flags & Flags) != 0;

    /// <summary>Why it cannot be dumped and what would help, as far as /proc tells; null where it can.</summary>
    public static (string Reason, string Remedy)? Objection(Mapping mapping)
    {
        const string Remedy = "let the program unregister it before the dump";
        if ((mapping.Flags & VmFlags.UserFaultMinor) != 0)
        {
            return ("it is registered with userfaultfd for minor faults", Remedy);
        }

        return !Is(mapping) ? null
            : (mapping.Status & VmaStatus.AnonymousPrivate) == 0 || (mapping.Flags & VmFlags.HugeTlb) != 0
                ? ("it is registered with userfaultfd, and no private memory of usual pages without a file", Remedy)
            : (mapping.Flags & VmFlags.UserFaultMissing) != 0 && (mapping.Flags & VmFlags.Locked) != 0
                ? ("it is registered with userfaultfd, and locked (mlock), which would bring all of its pages in", Remedy)
            : null;
    }

    /// <summary>With which file (struct userfaultfd_ctx) each mapping of a process is registered, by its first address.</summary>
    /// <exception cref="Errors.CriuException">The kernel does not tell, see <see cref="BpfRow.IsUntold"/>.</exception>
    public static Dictionary<ulong, ulong> ContextsIn(int pid)
    {
        KernelTypes types = KernelTypes.Running;
        BpfRow row = new(words: 3);
        row.Of(types.OffsetOf("bpf_iter__task_vma", "vma"));
        int mapping = row.ObjectItself();
        int start = row.FromAddress(mapping, types.OffsetOf("vm_area_struct", "vm_start"));
        int context = row.FromAddress(mapping, types.OffsetOf("vm_area_struct", "vm_userfaultfd_ctx", "ctx"));
        return row.Run("bpf_iter_task_vma", pid).Where(r => r[context] != 0).ToDictionary(r => r[start], r => r[context]);
    }

    /// <summary>Saves what is registered with a file.</summary>
    /// <param name="entry">The file.</param>
    /// <param name="pid">The process whose memory it is about.</param>
    /// <param name="context">The file, as <see cref="ContextsIn"/> has it.</param>
    public static void Save(CriupsUserfaultEntry entry, int pid, ulong context)
    {
        Dictionary<ulong, ulong> contexts = ContextsIn(pid);
        if (!contexts.ContainsValue(context))
        {
            return;
        }

        using ProcDirectory proc = new(pid);
        using Proc.PageMap pages = Proc.PageMap.Open(proc);
        foreach (SmapsEntry mapping in ProcSmaps.ReadFlags(proc).Where(m => contexts.GetValueOrDefault(m.Vma.Start) == context))
        {
            bool missing = (mapping.Flags & VmFlags.UserFaultMissing) != 0, writes = (mapping.Flags & VmFlags.UserFaultWriteProtect) != 0;
            entry.Watched.Add(new CriupsWatchedEntry
            {
                Start = mapping.Vma.Start, Length = mapping.Vma.End - mapping.Vma.Start,
                Mode = (missing ? UserFault.UFFDIO_REGISTER_MODE_MISSING : 0) | (writes ? UserFault.UFFDIO_REGISTER_MODE_WP : 0),
            });
            if (missing)
            {
                entry.Absent.AddRange(Absent(pages, mapping.Vma));
            }

            if (writes)
            {
                PageQuery query = new(
                    PageCategories.None, PageCategories.Present | PageCategories.Swapped, PageCategories.Written, PageCategories.Written);
                entry.WriteProtected.AddRange(Find(pages, mapping.Vma, query).Select(region => Range(region.Start, region.End)));
            }
        }
    }

    /// <summary>Registers what was registered.</summary>
    /// <param name="batch">The process; its memory is there, with the pages that were saved.</param>
    /// <param name="saved">The file.</param>
    /// <param name="fd">Its number in the process.</param>
    public static void Restore(RemoteBatch batch, CriupsUserfaultEntry saved, int fd)
    {
        // A huge page may have come where single pages were written, and may still come until somebody watches: the kernel looks at a process at once whose memory is
        // advised to have such pages (mm/khugepaged.c, __khugepaged_enter).
        AddHugePages(batch, areOff: 1);
        foreach (CriupsRangeEntry absent in saved.Absent)
        {
            batch.Add($"madvise of {absent.Start:x}", SyscallNumber.madvise, absent.Start, absent.Length, Kernel.Memory.MADV_DONTNEED);
        }

        foreach (CriupsWatchedEntry watched in saved.Watched)
        {
            SyscallProgram program = batch.Room(1, 32);
            ulong register = program.Put(new UserFault.uffdio_register { range = Part(watched.Start, watched.Length), mode = watched.Mode });
            program.Add($"ioctl(UFFDIO_REGISTER) of {watched.Start:x}", SyscallNumber.ioctl, fd, (long)UserFault.UFFDIO_REGISTER, register);
        }

        AddHugePages(batch, areOff: 0);
        foreach (CriupsRangeEntry closed in saved.WriteProtected)
        {
            SyscallProgram program = batch.Room(1, 32);
            UserFault.uffdio_range pages = Part(closed.Start, closed.Length);
            ulong protect = program.Put(new UserFault.uffdio_writeprotect { range = pages, mode = UserFault.UFFDIO_WRITEPROTECT_MODE_WP });
            program.Add($"ioctl(UFFDIO_WRITEPROTECT) of {closed.Start:x}", SyscallNumber.ioctl, fd, (long)UserFault.UFFDIO_WRITEPROTECT, protect);
        }
    }

    // Whether they are off for good is among the states of the process, which come later.
    private static void AddHugePages(RemoteBatch batch, int areOff) =>
        batch.Add("prctl(PR_SET_THP_DISABLE)", SyscallNumber.prctl, Prctl.PR_SET_THP_DISABLE, areOff, 0, 0, 0);

    private static IEnumerable<CriupsRangeEntry> Absent(Proc.PageMap pages, Vma vma)
    {
        ulong end = vma.Start;
        foreach (PageRegion region in Find(pages, vma, new PageQuery(PageCategories.None, PageCategories.Present | PageCategories.Swapped)))
        {
            if (region.Start > end)
            {
                yield return Range(end, region.Start);
            }

            end = region.End;
        }

        if (vma.End > end)
        {
            yield return Range(end, vma.End);
        }
    }

    private static List<PageRegion> Find(Proc.PageMap pages, Vma vma, PageQuery query)
    {
        List<PageRegion> regions = [];
        pages.Scan(vma.Start, vma.End, query, regions);
        return regions;
    }

    private static UserFault.uffdio_range Part(ulong start, ulong length) => new() { start = start, len = length };

    private static CriupsRangeEntry Range(ulong start, ulong end) => new() { Start = start, Length = end - start };
}
