using System.Runtime.InteropServices;

namespace CriuPS.Engine.Compel.X64;

/// <summary>struct user_regs_struct of x86-64 (arch/x86/include/asm/user_64.h): the general registers.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct UserRegs
{
    public ulong r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
    public ulong fs_base, gs_base, ds, es, fs, gs;
}
