using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace CriuPS.Engine.Kernel;

/// <summary>ptrace(2). All calls must come from the thread that is the tracer.</summary>
internal static unsafe class Ptrace
{
    public const int PTRACE_PEEKDATA = 2, PTRACE_PEEKUSR = 3, PTRACE_POKEDATA = 5, PTRACE_POKEUSR = 6, PTRACE_CONT = 7, PTRACE_SINGLESTEP = 9, PTRACE_GETREGS = 12, PTRACE_SETREGS = 13, PTRACE_DETACH = 17, PTRACE_SYSCALL = 24;
    public const int PTRACE_GET_THREAD_AREA = 25, PTRACE_SET_THREAD_AREA = 26;
    public const int PTRACE_SETOPTIONS = 0x4200, PTRACE_GETSIGINFO = 0x4202, PTRACE_GETREGSET = 0x4204, PTRACE_SETREGSET = 0x4205;
    public const int PTRACE_SEIZE = 0x4206, PTRACE_INTERRUPT = 0x4207, PTRACE_PEEKSIGINFO = 0x4209;
    public const int PTRACE_GETSIGMASK = 0x420a, PTRACE_SETSIGMASK = 0x420b, PTRACE_GET_RSEQ_CONFIGURATION = 0x420f;
    public const int PTRACE_SECCOMP_GET_FILTER = 0x420c, PTRACE_SECCOMP_GET_METADATA = 0x420d;

    public const int PTRACE_O_TRACESYSGOOD = 1, PTRACE_O_EXITKILL = 1 << 20, PTRACE_O_SUSPEND_SECCOMP = 1 << 21;
    public const int PTRACE_EVENT_STOP = 128;

    /// <summary>What PTRACE_O_TRACESYSGOOD adds to the signal of a system-call stop.</summary>
    public const int SyscallStop = 0x80;

    public const int PTRACE_PEEKSIGINFO_SHARED = 1;

    public const int NT_X86_XSTATE = 0x202;

    /// <summary>offsetof(struct user, u_debugreg) of x86-64, sys/user.h.</summary>
    public const int DebugRegisters = 848;

    /// <summary>Size of the kernel's signal set in bytes.</summary>
    public const int SignalSetSize = 8;

    /// <summary>Size of siginfo_t in bytes.</summary>
    public const int SiginfoSize = 128;

    /// <summary>struct ptrace_rseq_configuration, include/uapi/linux/ptrace.h.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct ptrace_rseq_configuration
    {
        public ulong rseq_abi_pointer;
        public uint rseq_abi_size;
        public uint signature;
        public uint flags;
        public uint pad;
    }

    /// <summary>struct ptrace_peeksiginfo_args, include/uapi/linux/ptrace.h.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct ptrace_peeksiginfo_args
    {
        public ulong off;
        public uint flags;
        public int nr;
    }

    /// <summary>struct user_desc, arch/x86/include/uapi/asm/ldt.h; flags are its bit fields, the first one being the lowest bit.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct user_desc
    {
        public uint entry_number;
        public uint base_addr;
        public uint limit;
        public uint flags;
    }

    /// <summary>struct seccomp_metadata, include/uapi/linux/ptrace.h.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct seccomp_metadata
    {
        public ulong filter_off;
        public ulong flags;
    }

    /// <summary>A raw request; result as of the kernel (value or -errno).</summary>
    public static long Request(int request, int tid, long address, long data) =>
        Syscall.Invoke(SyscallNumber.ptrace, request, tid, address, data);

    public static void Seize(int tid, int options) =>
        Syscall.Check(Request(PTRACE_SEIZE, tid, 0, options), () => $"ptrace(PTRACE_SEIZE, {tid})");

    public static void Interrupt(int tid) =>
        Syscall.Check(Request(PTRACE_INTERRUPT, tid, 0, 0), () => $"ptrace(PTRACE_INTERRUPT, {tid})");

    public static void Continue(int tid, int signal = 0) =>
        Syscall.Check(Request(PTRACE_CONT, tid, 0, signal), () => $"ptrace(PTRACE_CONT, {tid})");

    public static void SingleStep(int tid) =>
        Syscall.Check(Request(PTRACE_SINGLESTEP, tid, 0, 0), () => $"ptrace(PTRACE_SINGLESTEP, {tid})");

    /// <summary>Lets the task run until the next entry or exit of a system call.</summary>
    public static void ContinueToSyscall(int tid, int signal = 0) =>
        Syscall.Check(Request(PTRACE_SYSCALL, tid, 0, signal), () => $"ptrace(PTRACE_SYSCALL, {tid})");

    public static void Detach(int tid, int signal = 0) =>
        Syscall.Check(Request(PTRACE_DETACH, tid, 0, signal), () => $"ptrace(PTRACE_DETACH, {tid})");

    /// <summary>Writes one word into the tracee's memory, even where its pages are read-only (they are copied first).</summary>
    public static void PokeData(int tid, ulong address, ulong word) =>
        Syscall.Check(Request(PTRACE_POKEDATA, tid, (long)address, (long)word), () => $"ptrace(PTRACE_POKEDATA, {tid}, 0x{address:x})");

    /// <summary>Reads one word of the tracee's memory.</summary>
    public static ulong PeekData(int tid, ulong address)
    {
        ulong word;
        Syscall.Check(Request(PTRACE_PEEKDATA, tid, (long)address, (long)&word), () => $"ptrace(PTRACE_PEEKDATA, {tid}, 0x{address:x})");
        return word;
    }

    /// <summary>
    /// Reads the general registers, struct user_regs_struct: also of a task in 32-bit mode, of which PTRACE_GETREGSET would give a 32-bit set (arch/x86/kernel/ptrace.c).
    /// </summary>
    public static void GetRegisters(int tid, Span<byte> registers)
    {
        fixed (byte* p = registers)
        {
            Syscall.Check(Request(PTRACE_GETREGS, tid, 0, (long)p), () => $"ptrace(PTRACE_GETREGS, {tid})");
        }
    }

    /// <summary>Writes the general registers; another code segment takes the task into the other mode.</summary>
    public static void SetRegisters(int tid, ReadOnlySpan<byte> registers)
    {
        fixed (byte* p = registers)
        {
            Syscall.Check(Request(PTRACE_SETREGS, tid, 0, (long)p), () => $"ptrace(PTRACE_SETREGS, {tid})");
        }
    }

    /// <summary>Reads a debug register of x86-64, 0 to 7.</summary>
    public static ulong GetDebugRegister(int tid, int number)
    {
        ulong value;
        Syscall.Check(
            Request(PTRACE_PEEKUSR, tid, DebugRegisters + number * sizeof(ulong), (long)&value), () => $"ptrace(PTRACE_PEEKUSR, {tid}, debug register {number})");
        return value;
    }

    /// <summary>Writes a debug register of x86-64.</summary>
    public static void SetDebugRegister(int tid, int number, ulong value) => Syscall.Check(
        Request(PTRACE_POKEUSR, tid, DebugRegisters + number * sizeof(ulong), (long)value), () => $"ptrace(PTRACE_POKEUSR, {tid}, debug register {number})");

    /// <summary>Reads a slot for thread-local storage in the GDT of a 32-bit task, set_thread_area(2); false if there is no such slot.</summary>
    public static bool TryGetThreadArea(int tid, int slot, out user_desc area)
    {
        fixed (user_desc* p = &area)
        {
            return !Syscall.IsError(Request(PTRACE_GET_THREAD_AREA, tid, slot, (long)p));
        }
    }

    /// <summary>Writes a slot for thread-local storage in the GDT of a 32-bit task.</summary>
    public static void SetThreadArea(int tid, user_desc area) =>
        Syscall.Check(Request(PTRACE_SET_THREAD_AREA, tid, (int)area.entry_number, (long)&area), "ptrace(PTRACE_SET_THREAD_AREA)");

    /// <summary>Reads a register set; the result is how many bytes the kernel gave.</summary>
    public static int GetRegSet(int tid, int type, Span<byte> set)
    {
        fixed (byte* p = set)
        {
            iovec vector = new() { iov_base = (ulong)p, iov_len = (ulong)set.Length };
            Syscall.Check(Request(PTRACE_GETREGSET, tid, type, (long)&vector), () => $"ptrace(PTRACE_GETREGSET, {tid}, 0x{type:x})");
            return (int)vector.iov_len;
        }
    }

    /// <summary>Writes a register set.</summary>
    public static void SetRegSet(int tid, int type, ReadOnlySpan<byte> set)
    {
        fixed (byte* p = set)
        {
            iovec vector = new() { iov_base = (ulong)p, iov_len = (ulong)set.Length };
            Syscall.Check(Request(PTRACE_SETREGSET, tid, type, (long)&vector), () => $"ptrace(PTRACE_SETREGSET, {tid}, 0x{type:x})");
        }
    }

    public static ulong GetSigMask(int tid)
    {
        ulong mask;
        Syscall.Check(Request(PTRACE_GETSIGMASK, tid, SignalSetSize, (long)&mask), () => $"ptrace(PTRACE_GETSIGMASK, {tid})");
        return mask;
    }

    public static void SetSigMask(int tid, ulong mask) =>
        Syscall.Check(Request(PTRACE_SETSIGMASK, tid, SignalSetSize, (long)&mask), () => $"ptrace(PTRACE_SETSIGMASK, {tid})");

    /// <summary>Why a tracee stands: the signal and the code of its siginfo_t; false while it runs, or is gone.</summary>
    public static bool TryGetStop(int tid, out int signal, out int code)
    {
        int* info = stackalloc int[SiginfoSize / sizeof(int)];
        long result = Request(PTRACE_GETSIGINFO, tid, 0, (long)info);
        (signal, code) = (info[0], info[2]);
        if (result == -Errno.ESRCH)
        {
            return false;
        }

        Syscall.Check(result, () => $"ptrace(PTRACE_GETSIGINFO, {tid})");
        return true;
    }

    /// <summary>Copies pending signals without taking them off the queue; the result is how many were copied.</summary>
    public static int PeekSigInfo(int tid, ulong offset, bool shared, Span<byte> infos)
    {
        ptrace_peeksiginfo_args args = new() { off = offset, flags = shared ? (uint)PTRACE_PEEKSIGINFO_SHARED : 0, nr = infos.Length / SiginfoSize };
        fixed (byte* p = infos)
        {
            return (int)Syscall.Check(
                Request(PTRACE_PEEKSIGINFO, tid, (long)&args, (long)p),
                () => $"ptrace(PTRACE_PEEKSIGINFO, {tid})");
        }
    }

    /// <summary>The rseq registration of a thread (kernel 5.13, CONFIG_RSEQ).</summary>
    public static ptrace_rseq_configuration GetRseqConfiguration(int tid)
    {
        ptrace_rseq_configuration configuration = default;
        Syscall.Check(
            Request(PTRACE_GET_RSEQ_CONFIGURATION, tid, Unsafe.SizeOf<ptrace_rseq_configuration>(), (long)&configuration),
            () => $"ptrace(PTRACE_GET_RSEQ_CONFIGURATION, {tid})");
        return configuration;
    }

    /// <summary>Sets the options of a tracee, all of them anew.</summary>
    public static void SetOptions(int tid, int options) =>
        Syscall.Check(Request(PTRACE_SETOPTIONS, tid, 0, options), () => $"ptrace(PTRACE_SETOPTIONS, {tid}, 0x{options:x})");

    /// <summary>Reads one seccomp filter of a task (kernel 4.4, CONFIG_CHECKPOINT_RESTORE); false if it has no such.</summary>
    /// <param name="tid">The task.</param>
    /// <param name="filter">Which filter, the oldest being 0.</param>
    /// <param name="code">Takes its instructions, 8 bytes each.</param>
    /// <param name="instructions">How many there are.</param>
    public static bool TryGetSeccompFilter(int tid, ulong filter, Span<byte> code, out int instructions)
    {
        fixed (byte* p = code)
        {
            long result = Request(PTRACE_SECCOMP_GET_FILTER, tid, (long)filter, (long)p);
            instructions = result == -Errno.ENOENT ? 0 : (int)Syscall.Check(result, () => $"ptrace(PTRACE_SECCOMP_GET_FILTER, {tid})");
            return result != -Errno.ENOENT;
        }
    }

    /// <summary>The flags of one seccomp filter of a task (kernel 4.16, CONFIG_CHECKPOINT_RESTORE); a value or -errno.</summary>
    public static long SeccompMetadata(int tid, ulong filter, out ulong flags)
    {
        seccomp_metadata metadata = new() { filter_off = filter };
        long result = Request(PTRACE_SECCOMP_GET_METADATA, tid, Unsafe.SizeOf<seccomp_metadata>(), (long)&metadata);
        flags = metadata.flags;
        return result;
    }
}
