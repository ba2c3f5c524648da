using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Kernel;

/// <summary>bpf(2), as far as it lets a program of ours look at the kernel's objects one after the other (BPF iterators, since Linux 5.8).</summary>
internal static unsafe class Bpf
{
    public const int BPF_PROG_LOAD = 5, BPF_LINK_CREATE = 28, BPF_ITER_CREATE = 33;
    public const int BPF_PROG_TYPE_TRACING = 26, BPF_TRACE_ITER = 28;

    /// <summary>union bpf_attr of BPF_PROG_LOAD, as far as it is used (include/uapi/linux/bpf.h).</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct prog_load_attr
    {
        public uint prog_type;
        public uint insn_cnt;
        public ulong insns;
        public ulong license;
        public uint log_level;
        public uint log_size;
        public ulong log_buf;
        public uint kern_version;
        public uint prog_flags;
        public ulong prog_name_low;
        public ulong prog_name_high;
        public uint prog_ifindex;
        public uint expected_attach_type;
        public uint prog_btf_fd;
        public uint func_info_rec_size;
        public ulong func_info;
        public uint func_info_cnt;
        public uint line_info_rec_size;
        public ulong line_info;
        public uint line_info_cnt;
        public uint attach_btf_id;
    }

    /// <summary>union bpf_attr of BPF_LINK_CREATE, as far as it is used.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct link_create_attr
    {
        public uint prog_fd;
        public uint target_fd;
        public uint attach_type;
        public uint flags;
        public ulong iter_info;
        public ulong iter_info_len;
    }

    /// <summary>Runs an iterator's program over all objects of its kind; the result is what it wrote.</summary>
    /// <param name="instructions">The program, struct bpf_insn each.</param>
    /// <param name="function">The BTF number of the iterator (bpf_iter_task, say).</param>
    /// <param name="pid">The process that all of them belong to (since Linux 6.1); 0 for all processes.</param>
    /// <exception cref="Errors.KernelException">The caller lacks CAP_BPF and CAP_PERFMON, or the kernel the iterator.</exception>
    public static byte[] Iterate(ReadOnlySpan<ulong> instructions, int function, int pid = 0)
    {
        using SafeFileHandle program = Load(instructions, function);
        return Iterate(program, pid);
    }

    /// <summary>Runs a program that is loaded already.</summary>
    /// <inheritdoc cref="Iterate(ReadOnlySpan{ulong}, int, int)"/>
    public static byte[] Iterate(SafeFileHandle program, int pid)
    {
        using SafeFileHandle iterator = Begin(program, pid);
        return FileRead.ToEnd(iterator);
    }

    /// <summary>Lets a program that is loaded begin; it runs as its answers are read.</summary>
    /// <inheritdoc cref="Iterate(ReadOnlySpan{ulong}, int, int)"/>
    public static SafeFileHandle Begin(SafeFileHandle program, int pid)
    {
        // union bpf_iter_link_info: tid, pid, pid_fd.
        int* info = stackalloc int[4] { 0, pid, 0, 0 };
        link_create_attr link = new()
        {
            prog_fd = (uint)program.DangerousGetHandle(), attach_type = BPF_TRACE_ITER, iter_info = pid == 0 ? 0 : (ulong)info,
            iter_info_len = pid == 0 ? 0u : 4 * sizeof(int),
        };
        using SafeFileHandle attached = Call(BPF_LINK_CREATE, &link, sizeof(link_create_attr), "bpf(BPF_LINK_CREATE)");
        ulong create = (uint)attached.DangerousGetHandle();
        return Call(BPF_ITER_CREATE, &create, sizeof(ulong), "bpf(BPF_ITER_CREATE)");
    }

    /// <summary>Loads an iterator's program; the kernel looks at each of its instructions, which takes longer than to run it.</summary>
    /// <inheritdoc cref="Iterate(ReadOnlySpan{ulong}, int, int)"/>
    public static SafeFileHandle Load(ReadOnlySpan<ulong> instructions, int function)
    {
        fixed (ulong* code = instructions)
        fixed (byte* license = "GPL\0"u8)
        {
            prog_load_attr load = new()
            {
                prog_type = BPF_PROG_TYPE_TRACING, expected_attach_type = BPF_TRACE_ITER, attach_btf_id = (uint)function,
                insns = (ulong)code, insn_cnt = (uint)instructions.Length, license = (ulong)license,
            };
            return Call(BPF_PROG_LOAD, &load, Unsafe.SizeOf<prog_load_attr>(), "bpf(BPF_PROG_LOAD)");
        }
    }

    private static SafeFileHandle Call(int command, void* attributes, int size, string call)
    {
        const int Patience = 1000;
        long result = -Errno.EAGAIN;
        for (int tries = 0; result == -Errno.EAGAIN && tries < Patience; tries++)
        {
            // The check of a program gives up when a signal comes (kernel/bpf/verifier.c, do_check), as .NET sends to its threads.
            result = Syscall.Invoke(SyscallNumber.bpf, command, (long)attributes, size);
        }

        return new SafeFileHandle((nint)Syscall.Check(result, call), ownsHandle: true);
    }
}
