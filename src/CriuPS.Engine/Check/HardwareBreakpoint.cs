using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Check;

/// <summary>
/// The processor's breakpoints (debug registers of x86-64, ptrace(2) PTRACE_POKEUSR). A virtual machine may accept one and not stop at it.
/// CRIU stops its restorer with them; ours has no need to.
/// </summary>
internal static class HardwareBreakpoint
{
    // Register 7 enables the others by pairs of bits.
    private const int Control = 7, EnableFirst = 1;

    public static readonly Feature Works = new("breakpoints", FeatureCategory.Named, Probe)
    {
        NeededFor = "CRIU's way of stopping its restorer; nothing of ours", KnownToCriu = true,
        Since = "a machine that has debug registers",
    };

    private static Answer Probe(ProbeBench bench)
    {
        using ProbeChild child = bench.Fresh();
        long result = Poke(child, 0, (long)child.SyscallAt);
        if (!Syscall.IsError(result))
        {
            result = Poke(child, Control, EnableFirst);
        }

        if (Syscall.IsError(result))
        {
            return Answer.Of("ptrace(PTRACE_POKEUSR) of a debug register", result);
        }

        return Stops(bench, child)
            ? Answer.Yes("a hardware breakpoint")
            : Answer.No("a hardware breakpoint is accepted and does not stop the program");
    }

    // The breakpoint is on the instruction that enters the kernel: either it stops there, or the entry does a moment later.
    private static bool Stops(ProbeBench bench, ProbeChild child)
    {
        byte[] general = [.. child.Task.Original!.General];
        bench.Tracer.Architecture.PrepareSyscall(general, child.SyscallAt, SyscallNumber.getpid, []);
        Ptrace.SetRegisters(child.Pid, general);
        Syscall.Check(Ptrace.Request(Ptrace.PTRACE_SYSCALL, child.Pid, 0, 0), "ptrace(PTRACE_SYSCALL)");
        return bench.Tracer.Await(child.Pid, cancellable: false).StopSignal == Signals.SIGTRAP;
    }

    private static long Poke(ProbeChild child, int register, long value) =>
        Ptrace.Request(Ptrace.PTRACE_POKEUSR, child.Pid, Ptrace.DebugRegisters + register * sizeof(long), value);
}
