namespace CriuPS.Engine.Compel;

/// <summary>
/// All that CriuPS knows of a processor. Register sets are opaque bytes as ptrace gives them (general registers and the extended state);
/// a port is one more implementation of this interface, one interpreter and one image mapping.
/// </summary>
internal interface IArchitecture
{
    /// <summary>The interpreter of syscall programs, position independent, entered at its first byte.</summary>
    ReadOnlySpan<byte> Interpreter { get; }

    /// <summary>The instruction that enters the kernel.</summary>
    ReadOnlySpan<byte> SyscallInstruction { get; }

    /// <summary>That instruction, and behind it the one that returns to the caller.</summary>
    ReadOnlySpan<byte> SyscallAndReturn { get; }

    /// <summary>The instruction that enters the kernel as a 32-bit program does.</summary>
    ReadOnlySpan<byte> CompatSyscallInstruction { get; }

    /// <summary>The first address that a 32-bit program cannot map.</summary>
    ulong CompatTaskSize { get; }

    /// <summary>The code of C libraries that makes rt_sigreturn(2) of the frame on the stack.</summary>
    ReadOnlySpan<byte> SignalReturn { get; }

    /// <summary>The first address that user space cannot map.</summary>
    ulong TaskSize { get; }

    /// <summary>ptrace's number of the extended register set.</summary>
    int ExtendedRegisterSet { get; }

    /// <summary>Size of the general register set in bytes.</summary>
    int GeneralSize { get; }

    /// <summary>Whether the task runs in the native mode (on x86-64: not as a 32-bit program).</summary>
    bool IsNative(ReadOnlySpan<byte> general);

    /// <summary>The address of the next instruction.</summary>
    ulong InstructionPointer(ReadOnlySpan<byte> general);

    /// <summary>Sets the address of the next instruction.</summary>
    void SetInstructionPointer(Span<byte> general, ulong address);

    /// <summary>The stack pointer.</summary>
    ulong StackPointer(ReadOnlySpan<byte> general);

    /// <summary>Sets the stack pointer.</summary>
    void SetStackPointer(Span<byte> general, ulong address);

    /// <summary>Makes registers that run one system call at an address where the syscall instruction is.</summary>
    void PrepareSyscall(Span<byte> general, ulong at, long number, ReadOnlySpan<ulong> arguments);

    /// <summary>Makes registers that run one system call of the 32-bit interface at an address where its instruction is.</summary>
    void PrepareCompatSyscall(Span<byte> general, ulong at, long number, ReadOnlySpan<uint> arguments);

    /// <summary>The result of the system call that ran last.</summary>
    long SyscallResult(ReadOnlySpan<byte> general);

    /// <summary>Makes registers that run a program.</summary>
    void PrepareInterpreter(Span<byte> general, ulong interpreter, ulong program);

    /// <summary>Rewrites the registers of an interrupted system call so that they can be loaded into another task, which then restarts it.</summary>
    void SettleInterruptedSyscall(Span<byte> general);

    /// <summary>Whether a system call was interrupted that the kernel would continue out of its restart block.</summary>
    bool AwaitsRestart(ReadOnlySpan<byte> general);

    /// <summary>The number of the interrupted system call.</summary>
    long InterruptedSyscall(ReadOnlySpan<byte> general);

    /// <summary>An argument of the interrupted system call, the first being 0.</summary>
    ulong Argument(ReadOnlySpan<byte> general, int index);

    /// <summary>Makes registers out of those of an interrupted call that make a call with the same arguments.</summary>
    void CallAgain(Span<byte> general, long number);

    /// <summary>Makes registers out of settled ones with which the kernel continues an interrupted call out of its restart block.</summary>
    void AwaitRestart(Span<byte> general, long number);

    /// <summary>Sets the result of the system call that ran last.</summary>
    void SetResult(Span<byte> general, long result);

    /// <summary>How many bytes a signal frame takes with this extended state.</summary>
    int SignalFrameSize(int extendedSize);

    /// <summary>Writes a signal frame out of which the kernel's sigreturn brings all registers back.</summary>
    /// <param name="frame">Where it is built.</param>
    /// <param name="address">Where it will be, 64-byte aligned.</param>
    /// <param name="general">General registers.</param>
    /// <param name="extended">Extended state.</param>
    /// <param name="signalMask">The blocked signals.</param>
    /// <returns>The address to put into the program's frame field.</returns>
    ulong BuildSignalFrame(Span<byte> frame, ulong address, ReadOnlySpan<byte> general, ReadOnlySpan<byte> extended, ulong signalMask);

    /// <summary>How many bytes a signal frame takes with the address of <see cref="SignalReturn"/> before it.</summary>
    int ReturnFrameSize(int extendedSize);

    /// <summary>Writes a signal frame with the address of <see cref="SignalReturn"/> before it, to which a return then leads.</summary>
    /// <param name="frame">Where it is built.</param>
    /// <param name="address">Where it will be, 64-byte aligned.</param>
    /// <param name="signalReturn">Where that code is.</param>
    /// <param name="registers">What the frame brings back. The alternate stack stays as it is.</param>
    /// <returns>The stack pointer to return with.</returns>
    ulong BuildReturnFrame(Span<byte> frame, ulong address, ulong signalReturn, TaskRegisters registers);

    /// <summary>Where in the frame sigaltstack's stack_t is, as an offset from its address.</summary>
    int SignalFrameStackOffset { get; }
}
