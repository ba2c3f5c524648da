using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Compel.X64;

/// <summary>x86-64: registers, system calls and signal frames.</summary>
internal sealed class X64Architecture : IArchitecture
{
    // arch/x86/include/asm/segment.h: __USER_CS, __USER_DS.
    private const ulong UserCodeSegment = 0x33, UserDataSegment = 0x2b;

    /// <summary>The code segment of 32-bit programs, __USER32_CS.</summary>
    public const ulong CompatCodeSegment = 0x23;

    private const ulong TrapFlag = 0x100, DirectionFlag = 0x400;
    private const long NoSyscall = -1;
    private const int FrameAlignment = 64;

    private readonly byte[] _interpreter = EmbeddedCode.Load("interpreter-x64.bin");

    public ReadOnlySpan<byte> Interpreter => _interpreter;

    public ReadOnlySpan<byte> SyscallInstruction => [0x0f, 0x05];

    public ReadOnlySpan<byte> SyscallAndReturn => [0x0f, 0x05, 0xc3];

    // mov rax, 15 (rt_sigreturn); syscall.
    public ReadOnlySpan<byte> SignalReturn => [0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05];

    public ReadOnlySpan<byte> CompatSyscallInstruction => [0xcd, 0x80];

    // arch/x86/include/asm/page_types.h: IA32_PAGE_OFFSET.
    public ulong CompatTaskSize => 0xffffe000;

    public ulong TaskSize => 0x7ffffffff000;

    public int ExtendedRegisterSet => Ptrace.NT_X86_XSTATE;

    public int GeneralSize => Unsafe.SizeOf<UserRegs>();

    public int SignalFrameStackOffset => SignalFrameX64.StackOffset;

    public static ref UserRegs Registers(Span<byte> general) => ref MemoryMarshal.AsRef<UserRegs>(general);

    public static ref readonly UserRegs Registers(ReadOnlySpan<byte> general) => ref MemoryMarshal.AsRef<UserRegs>(general);

    public bool IsNative(ReadOnlySpan<byte> general) => Registers(general).cs == UserCodeSegment;

    public ulong InstructionPointer(ReadOnlySpan<byte> general) => Registers(general).ip;

    public void SetInstructionPointer(Span<byte> general, ulong address) => Registers(general).ip = address;

    public ulong StackPointer(ReadOnlySpan<byte> general) => Registers(general).sp;

    public void SetStackPointer(Span<byte> general, ulong address) => Registers(general).sp = address;

    public void PrepareSyscall(Span<byte> general, ulong at, long number, ReadOnlySpan<ulong> arguments)
    {
        ref UserRegs regs = ref Registers(general);
        Span<ulong> six = stackalloc ulong[6];
        six.Clear();
        arguments.CopyTo(six);
        (regs.di, regs.si, regs.dx, regs.r10, regs.r8, regs.r9) = (six[0], six[1], six[2], six[3], six[4], six[5]);
        regs.ax = (ulong)number;
        Enter(ref regs, at);
    }

    public void PrepareCompatSyscall(Span<byte> general, ulong at, long number, ReadOnlySpan<uint> arguments)
    {
        ref UserRegs regs = ref Registers(general);
        Span<uint> six = stackalloc uint[6];
        six.Clear();
        arguments.CopyTo(six);
        (regs.bx, regs.cx, regs.dx, regs.si, regs.di, regs.bp) = (six[0], six[1], six[2], six[3], six[4], six[5]);
        regs.ax = (ulong)number;
        Enter(ref regs, at);
    }

    public long SyscallResult(ReadOnlySpan<byte> general) => (long)Registers(general).ax;

    public void PrepareInterpreter(Span<byte> general, ulong interpreter, ulong program)
    {
        ref UserRegs regs = ref Registers(general);
        regs.bx = program;
        regs.ax = 0;
        Enter(ref regs, interpreter);
    }

    // arch/x86/kernel/signal.c, arch_do_signal_or_restart: what the kernel itself would do when no handler runs.
    // A restart block lives in the kernel and dies with the task: here its call ends with EINTR, as after a signal handler.
    public void SettleInterruptedSyscall(Span<byte> general)
    {
        ref UserRegs regs = ref Registers(general);
        if ((long)regs.orig_ax < 0)
        {
            return;
        }

        switch (-(long)regs.ax)
        {
            case Errno.ERESTARTSYS or Errno.ERESTARTNOINTR or Errno.ERESTARTNOHAND:
                CallAgain(general, (long)regs.orig_ax);
                break;
            case Errno.ERESTART_RESTARTBLOCK:
                regs.ax = unchecked((ulong)-Errno.EINTR);
                break;
        }
    }

    public bool AwaitsRestart(ReadOnlySpan<byte> general) =>
        (long)Registers(general).orig_ax >= 0 && (long)Registers(general).ax == -Errno.ERESTART_RESTARTBLOCK;

    public long InterruptedSyscall(ReadOnlySpan<byte> general) => (long)Registers(general).orig_ax;

    public ulong Argument(ReadOnlySpan<byte> general, int index)
    {
        ref readonly UserRegs regs = ref Registers(general);
        return index switch { 0 => regs.di, 1 => regs.si, 2 => regs.dx, 3 => regs.r10, 4 => regs.r8, _ => regs.r9 };
    }

    public void CallAgain(Span<byte> general, long number)
    {
        ref UserRegs regs = ref Registers(general);
        regs.ax = (ulong)number;
        regs.ip -= (ulong)SyscallInstruction.Length;
    }

    public void AwaitRestart(Span<byte> general, long number)
    {
        ref UserRegs regs = ref Registers(general);
        regs.orig_ax = (ulong)number;
        regs.ax = unchecked((ulong)-Errno.ERESTART_RESTARTBLOCK);
    }

    public void SetResult(Span<byte> general, long result) => Registers(general).ax = (ulong)result;

    public int SignalFrameSize(int extendedSize) => SignalFrameX64.Size(extendedSize);

    public ulong BuildSignalFrame(Span<byte> frame, ulong address, ReadOnlySpan<byte> general, ReadOnlySpan<byte> extended, ulong signalMask)
    {
        // sigreturn does not look at restart codes: the interrupted call must be settled here.
        Span<byte> settled = stackalloc byte[general.Length];
        general.CopyTo(settled);
        SettleInterruptedSyscall(settled);
        return SignalFrameX64.Build(frame, address, Registers(settled), extended, signalMask);
    }

    public int ReturnFrameSize(int extendedSize) => FrameAlignment + SignalFrameX64.Size(extendedSize);

    public ulong BuildReturnFrame(Span<byte> frame, ulong address, ulong signalReturn, TaskRegisters registers)
    {
        // rt_sigreturn finds the frame where the return has left the stack pointer, and its extended state must be aligned.
        ulong entry = BuildSignalFrame(frame[FrameAlignment..], address + FrameAlignment, registers.General, registers.Extended, registers.SignalMask);
        MemoryMarshal.Write(frame[(FrameAlignment - sizeof(ulong))..], signalReturn);
        return entry - sizeof(ulong);
    }

    private static void Enter(ref UserRegs regs, ulong at)
    {
        // Code of ours is 64-bit code, also in a 32-bit program.
        (regs.cs, regs.ss) = (UserCodeSegment, UserDataSegment);
        regs.orig_ax = unchecked((ulong)NoSyscall);
        regs.flags &= ~(TrapFlag | DirectionFlag);
        regs.ip = at;
    }
}
