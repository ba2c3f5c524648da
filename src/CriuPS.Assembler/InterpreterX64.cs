using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace CriuPS.Assembler;

/// <summary>
/// The x86-64 interpreter of syscall programs: the only machine code that CriuPS puts into another process.
/// It needs no stack and no data of its own, so that it can run at any address and in a process that has nothing else.
/// </summary>
/// <remarks>
/// On entry RBX holds the address of the program. The layout of a program (header, operations, flags) is described in
/// CriuPS.Engine's Compel/SyscallProgram.cs; the offsets below mirror it and a unit test compares both.
/// The kernel clobbers only RAX, RCX and R11 (syscall(2), "Architecture calling conventions").
/// </remarks>
public static class InterpreterX64
{
    /// <summary>Offsets in the program header.</summary>
    public const int Count = 0, Index = 8, Status = 16, Frame = 24, Tail = 32, Failed = 40, HeaderSize = 48;

    /// <summary>Offsets in an operation.</summary>
    public const int Number = 0, Flags = 8, FirstArgument = 16, Result = 64, OperationSize = 72;

    private const int RtSigreturn = 15;
    private const int LowestError = -4095;

    /// <summary>Assembles the interpreter; its entry point is its first byte.</summary>
    public static byte[] Assemble()
    {
        var c = new Iced.Intel.Assembler(64);
        Label next = c.CreateLabel(), resolve = c.CreateLabel(), narrow = c.CreateLabel();
        Label store = c.CreateLabel(), constant = c.CreateLabel(), advance = c.CreateLabel();
        Label done = c.CreateLabel(), trap = c.CreateLabel();

        c.lea(rbp, __[rbx + HeaderSize]);

        c.Label(ref next);
        c.mov(rax, __[rbx + Index]);
        c.cmp(rax, __[rbx + Count]);
        c.jae(done);

        // Replace each argument that refers to an earlier result (two flag bits each) by what is there.
        c.mov(r12, __[rbp + Flags]);
        c.lea(r13, __[rbp + FirstArgument]);
        c.mov(r14d, 6);
        c.Label(ref resolve);
        c.test(r12d, 3);
        c.je(constant);
        c.mov(rax, __[r13]);
        c.test(r12d, 1);
        c.je(narrow);
        c.mov(rax, __[rax]);
        c.jmp(store);
        c.Label(ref narrow);
        c.movsxd(rax, __dword_ptr[rax]);
        c.Label(ref store);
        c.mov(__[r13], rax);
        c.Label(ref constant);
        c.add(r13, 8);
        c.shr(r12, 2);
        c.dec(r14d);
        c.jne(resolve);

        c.mov(rdi, __[rbp + FirstArgument]);
        c.mov(rsi, __[rbp + FirstArgument + 8]);
        c.mov(rdx, __[rbp + FirstArgument + 16]);
        c.mov(r10, __[rbp + FirstArgument + 24]);
        c.mov(r8, __[rbp + FirstArgument + 32]);
        c.mov(r9, __[rbp + FirstArgument + 40]);
        c.mov(rax, __[rbp + Number]);
        c.syscall();
        c.mov(__[rbp + Result], rax);

        // What is left of the flags: bit 0 says that an error is an answer, not a failure.
        c.test(r12d, 1);
        c.jne(advance);
        c.cmp(rax, LowestError);
        c.jb(advance);
        c.mov(rax, __[rbx + Index]);
        c.mov(__[rbx + Failed], rax);
        c.mov(__qword_ptr[rbx + Status], 2);
        c.mov(rax, __[rbx + Tail]);
        c.mov(__[rbx + Index], rax);
        c.imul(rax, rax, OperationSize);
        c.lea(rbp, __[rbx + rax + HeaderSize]);
        c.jmp(next);

        c.Label(ref advance);
        c.inc(__qword_ptr[rbx + Index]);
        c.add(rbp, OperationSize);
        c.jmp(next);

        c.Label(ref done);
        c.or(__qword_ptr[rbx + Status], 1);
        c.mov(rsp, __[rbx + Frame]);
        c.test(rsp, rsp);
        c.je(trap);
        c.mov(eax, RtSigreturn);
        c.syscall();
        c.Label(ref trap);
        c.int3();
        c.jmp(trap);

        return Code.Bytes(c);
    }
}
