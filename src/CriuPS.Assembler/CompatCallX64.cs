using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace CriuPS.Assembler;

/// <summary>
/// A C function <c>int call(int number, unsigned first, unsigned second, unsigned third)</c> that makes a system call of the 32-bit interface:
/// int 0x80, which takes its arguments in EBX, ECX and EDX and leaves R8 to R11 undefined.
/// </summary>
public static class CompatCallX64
{
    /// <summary>Assembles the function; its entry point is its first byte.</summary>
    public static byte[] Assemble()
    {
        var c = new Iced.Intel.Assembler(64);
        c.push(rbx);
        c.mov(eax, edi);
        c.mov(ebx, esi);
        c.xchg(ecx, edx);
        c.@int(0x80);
        c.pop(rbx);
        c.ret();
        return Code.Bytes(c);
    }
}
