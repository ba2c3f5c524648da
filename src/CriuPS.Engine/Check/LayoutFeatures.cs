using CriuPS.Engine.Compel;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects.Memory;
using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Check;

/// <summary>The borders of an address space and its executable (prctl(2), PR_SET_MM).</summary>
internal static class LayoutFeatures
{
    private const int PR_SET_MM_MAP_SIZE = 15, PR_SET_MM_BRK = 7, StructSize = 104;

    public static readonly Feature Borders = new("prctl_mm", FeatureCategory.Basic, ProbeBorders)
    {
        NeededFor = "the borders of heap, stack and arguments, in any way", Since = "Linux 3.3 with CONFIG_CHECKPOINT_RESTORE",
        Privilege = "CAP_SYS_RESOURCE",
    };

    public static readonly Feature Map = new("prctl_mm_map", FeatureCategory.Extra, ProbeMap)
    {
        NeededFor = "the borders of heap, stack and arguments, and the executable, without CAP_SYS_RESOURCE", Required = true,
        Since = "Linux 3.18 with CONFIG_CHECKPOINT_RESTORE", Privilege = "CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN",
    };

    private static Answer ProbeBorders(ProbeBench bench)
    {
        using ProbeChild child = bench.Fresh();
        long size = child.Call(SyscallNumber.prctl, Prctl.PR_SET_MM, PR_SET_MM_MAP_SIZE, child.Room(sizeof(uint)), 0, 0);
        if (size >= 0)
        {
            return Answer.Yes("prctl(PR_SET_MM_MAP_SIZE)");
        }

        long heap = child.Call(SyscallNumber.brk, 0);
        return Answer.Of("prctl(PR_SET_MM_BRK)", child.Call(SyscallNumber.prctl, Prctl.PR_SET_MM, PR_SET_MM_BRK, heap, 0, 0));
    }

    // As at a restore: the old executable is unmapped, so the call is made from the vDSO; the new one is another copy of the same program.
    private static Answer ProbeMap(ProbeBench bench)
    {
        using ProbeChild child = bench.Fresh();
        List<Vma> mappings = ProcMaps.Read(child.Proc);
        Vma code = mappings.First(vma => vma.HasFile);
        long fd = child.Open("/proc/self/exe", OpenAt.O_RDONLY);
        Syscall.Check(fd, "open of /proc/self/exe");
        ulong start = code.Start;
        long map = child.Put(new MemoryLayout.prctl_mm_map
        {
            start_code = start, end_code = code.End, start_data = start, end_data = code.End, start_brk = code.End, brk = code.End,
            start_stack = start, arg_start = start, arg_end = start, env_start = start, env_end = start, exe_fd = (uint)fd,
        });
        ulong site = SyscallSite.Find(child.Pid, mappings, child.Task.Architecture);
        Syscall.Check(child.Task.RunSyscall(site, SyscallNumber.munmap, code.Start, code.Length), "munmap");
        long result = child.Task.RunSyscall(site, SyscallNumber.prctl, Prctl.PR_SET_MM, Prctl.PR_SET_MM_MAP, (ulong)map, StructSize, 0);
        return Syscall.IsError(result)
            ? Answer.Of("prctl(PR_SET_MM_MAP)", result)
            : Answer.Of("prctl(PR_SET_MM_MAP)", ProcStat.Read(child.Proc).StartCode == start);
    }
}
