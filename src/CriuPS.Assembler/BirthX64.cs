using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace CriuPS.Assembler;

/// <summary>
/// The x86-64 code of a birth: a C function <c>long birth(struct clone_args*, size_t, struct birth*)</c> that runs clone3 and, in the child,
/// nothing but prctl(PR_SET_PDEATHSIG, SIGKILL) and execveat of an open file. No managed code ever runs in the child, which shares the
/// parent's memory and stack (CLONE_VM | CLONE_VFORK) and therefore writes to neither.
/// </summary>
public static class BirthX64
{
    /// <summary>Offsets in struct birth: descriptor, path, argument vector, environment.</summary>
    public const int Descriptor = 0, Path = 8, Arguments = 16, Environment = 24;

    private const int Clone3 = 435, Prctl = 157, ExecveAt = 322, ExitGroup = 231, Pause = 34;
    private const int PrSetPdeathsig = 1, SigKill = 9, AtEmptyPath = 0x1000;

    /// <summary>Assembles the birth function; its entry point is its first byte.</summary>
    public static byte[] AssembleBirth()
    {
        var c = new Iced.Intel.Assembler(64);
        Label child = c.CreateLabel();
        c.push(rbx);
        c.mov(rbx, rdx);
        c.mov(eax, Clone3);
        c.syscall();
        c.test(rax, rax);
        c.je(child);
        c.pop(rbx);
        c.ret();

        c.Label(ref child);
        c.mov(edi, PrSetPdeathsig);
        c.mov(esi, SigKill);
        c.mov(eax, Prctl);
        c.syscall();
        c.mov(rdi, __[rbx + Descriptor]);
        c.mov(rsi, __[rbx + Path]);
        c.mov(rdx, __[rbx + Arguments]);
        c.mov(r10, __[rbx + Environment]);
        c.mov(r8d, AtEmptyPath);
        c.mov(eax, ExecveAt);
        c.syscall();
        c.mov(edi, 127);
        c.mov(eax, ExitGroup);
        c.syscall();
        return Code.Bytes(c);
    }

    /// <summary>Assembles what a newborn runs until its tracer takes it over: it sleeps.</summary>
    public static byte[] AssembleCradle()
    {
        var c = new Iced.Intel.Assembler(64);
        Label again = c.CreateLabel();
        c.Label(ref again);
        c.mov(eax, Pause);
        c.syscall();
        c.jmp(again);
        return Code.Bytes(c);
    }
}
