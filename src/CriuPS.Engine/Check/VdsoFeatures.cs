using System.Runtime.InteropServices;
using CriuPS.Engine.Compel.X64;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Check;

/// <summary>The code that the kernel maps into every process, and 32-bit programs (mremap(2), arch_prctl(2); x86-64).</summary>
internal static class VdsoFeatures
{
    private const int ARCH_MAP_VDSO_32 = 0x2002, ARCH_MAP_VDSO_64 = 0x2003;
    private const int Ia32Mmap2 = 192, Ia32Munmap = 91;

    public static readonly Feature Move = new("special_mapping_mremap", FeatureCategory.Basic, ProbeMove)
    {
        NeededFor = "a vDSO at its old address", Required = true, Since = "Linux 4.8",
    };

    public static readonly Feature Map = new("can_map_vdso", FeatureCategory.Extra, ProbeMap)
    {
        NeededFor = "a vDSO for a process that has none", KnownToCriu = true, Since = "Linux 4.8 with CONFIG_CHECKPOINT_RESTORE",
    };

    public static readonly Feature Compatible = new("compat_cr", FeatureCategory.Experimental, ProbeCompatible)
    {
        NeededFor = "32-bit programs", KnownToCriu = true, Since = "Linux 4.12 with CONFIG_IA32_EMULATION and CONFIG_CHECKPOINT_RESTORE",
    };

    private static Answer ProbeMove(ProbeBench bench)
    {
        using ProbeChild child = bench.Fresh();
        List<Vma> special = SpecialOf(child);
        long place = child.Map((long)special.Aggregate(0UL, (sum, vma) => sum + vma.Length));
        foreach (Vma vma in special)
        {
            child.Must($"mremap of {vma.Path.ToDisplayString()}", SyscallNumber.mremap, (long)vma.Start, (long)vma.Length, (long)vma.Length,
                Memory.MREMAP_MAYMOVE | Memory.MREMAP_FIXED, place);
            place += (long)vma.Length;
        }

        // The kernel knows it under its name at the new address: its own pointer to it has moved as well.
        Vma vdso = ProcMaps.Read(child.Proc).FirstOrDefault(vma => vma.IsVdso);
        return Answer.Of("mremap of [vvar] and [vdso]", special.Any(vma => vma.IsVdso) && vdso.End == (ulong)place);
    }

    private static Answer ProbeMap(ProbeBench bench)
    {
        using ProbeChild child = bench.Fresh();
        foreach (Vma vma in SpecialOf(child))
        {
            child.Must("munmap", SyscallNumber.munmap, (long)vma.Start, (long)vma.Length);
        }

        long result = child.Call(SyscallNumber.arch_prctl, ARCH_MAP_VDSO_64, 0);
        return Syscall.IsError(result)
            ? Answer.Of("arch_prctl(ARCH_MAP_VDSO_64)", result)
            : Answer.Of("arch_prctl(ARCH_MAP_VDSO_64)", ProcMaps.Read(child.Proc).Any(vma => vma.IsVdso));
    }

    // Kernels before 4.12 may give a 32-bit call an address above 4 GiB: what is cut off is then seen as a page that cannot be unmapped.
    private static Answer ProbeCompatible(ProbeBench bench)
    {
        using ProbeChild child = bench.Fresh();
        long vdso = child.Call(SyscallNumber.arch_prctl, ARCH_MAP_VDSO_32, 0);
        if (Syscall.IsError(vdso) && vdso != -Errno.EEXIST)
        {
            return Answer.Of("arch_prctl(ARCH_MAP_VDSO_32)", vdso);
        }

        try
        {
            return Answer.Of("arch_prctl(ARCH_MAP_VDSO_32), mmap2 of the 32-bit interface", CanMap(child));
        }
        catch (CriuException fault) when (fault.Id == "TaskFaulted")
        {
            return Answer.No("the instruction that enters the kernel as a 32-bit program does (int 0x80) faults");
        }
    }

    private static bool CanMap(ProbeChild child)
    {
        ulong gate = Gate(child);
        const int Private = Memory.MAP_PRIVATE | Memory.MAP_ANONYMOUS;
        uint page = CallIa32(child, gate, Ia32Mmap2, 0, Memory.PageSize, Memory.PROT_NONE, Private, -1, 0);
        bool mapped = ProcMaps.Read(child.Proc).Any(vma => vma.Start <= page && page < vma.End);
        uint unmapped = CallIa32(child, gate, Ia32Munmap, (int)page, Memory.PageSize, 0, 0, 0, 0);
        return mapped && unmapped == 0;
    }

    // A page with nothing but the instruction that enters the kernel as a 32-bit program does: int 0x80.
    private static ulong Gate(ProbeChild child)
    {
        long page = child.Map(Memory.PageSize);
        child.Write(page, [0xcd, 0x80]);
        child.Must("mprotect", SyscallNumber.mprotect, page, Memory.PageSize, Memory.PROT_READ | Memory.PROT_EXEC);
        return (ulong)page;
    }

    private static uint CallIa32(ProbeChild child, ulong gate, int number, params ReadOnlySpan<int> arguments)
    {
        UserRegs registers = default;
        Span<byte> bytes = MemoryMarshal.AsBytes(new Span<UserRegs>(ref registers));
        Ptrace.GetRegisters(child.Pid, bytes);
        (registers.ip, registers.ax, registers.orig_ax) = (gate, (uint)number, ulong.MaxValue);
        (registers.bx, registers.cx, registers.dx) = ((uint)arguments[0], (uint)arguments[1], (uint)arguments[2]);
        (registers.si, registers.di, registers.bp) = ((uint)arguments[3], (uint)arguments[4], (uint)arguments[5]);
        Ptrace.SetRegisters(child.Pid, bytes);
        Ptrace.SingleStep(child.Pid);
        child.Task.AwaitTrap(TimeSpan.FromSeconds(10));
        Ptrace.GetRegisters(child.Pid, bytes);
        return (uint)registers.ax;
    }

    private static List<Vma> SpecialOf(ProbeChild child) =>
        [.. ProcMaps.Read(child.Proc).Where(vma => vma.IsVdso || vma.Path.StartsWith("[vvar"u8))];
}
