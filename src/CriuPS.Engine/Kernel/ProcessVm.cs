using System.Runtime.InteropServices;

namespace CriuPS.Engine.Kernel;

/// <summary>process_vm_readv(2) and process_vm_writev(2).</summary>
internal static unsafe class ProcessVm
{
    [StructLayout(LayoutKind.Sequential)]
    private struct iovec
    {
        public void* iov_base;
        public ulong iov_len;
    }

    /// <summary>Reads memory of a process; all of it or a failure.</summary>
    public static void Read(int pid, ulong address, Span<byte> buffer)
    {
        fixed (byte* p = buffer)
        {
            iovec local = new() { iov_base = p, iov_len = (ulong)buffer.Length };
            iovec remote = new() { iov_base = (void*)address, iov_len = (ulong)buffer.Length };
            long done = Syscall.Invoke(SyscallNumber.process_vm_readv, pid, (long)&local, 1, (long)&remote, 1, 0);
            Complete(done, buffer.Length, "process_vm_readv", pid, address);
        }
    }

    /// <summary>Writes memory of a process; all of it or a failure.</summary>
    public static void Write(int pid, ulong address, ReadOnlySpan<byte> buffer)
    {
        fixed (byte* p = buffer)
        {
            iovec local = new() { iov_base = p, iov_len = (ulong)buffer.Length };
            iovec remote = new() { iov_base = (void*)address, iov_len = (ulong)buffer.Length };
            long done = Syscall.Invoke(SyscallNumber.process_vm_writev, pid, (long)&local, 1, (long)&remote, 1, 0);
            Complete(done, buffer.Length, "process_vm_writev", pid, address);
        }
    }

    // The kernel stops at the first page it cannot reach and tells how far it came.
    private static void Complete(long done, int wanted, string call, int pid, ulong address)
    {
        if (done != wanted)
        {
            Syscall.Check(done < 0 ? done : -Errno.EFAULT, () => $"{call}({pid}, 0x{address:x}, {wanted} bytes)");
        }
    }
}
