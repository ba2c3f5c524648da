namespace CriuPS.Engine.Kernel;

/// <summary>process_vm_readv(2) and process_vm_writev(2).</summary>
internal static unsafe class ProcessVm
{
    /// <summary>Reads memory of a process; all of it or a failure.</summary>
    public static void Read(int pid, ulong address, Span<byte> buffer)
    {
        fixed (byte* p = buffer)
        {
            Transfer(SyscallNumber.process_vm_readv, nameof(SyscallNumber.process_vm_readv), pid, address, p, buffer.Length);
        }
    }

    /// <summary>Writes memory of a process; all of it or a failure.</summary>
    public static void Write(int pid, ulong address, ReadOnlySpan<byte> buffer)
    {
        fixed (byte* p = buffer)
        {
            Transfer(SyscallNumber.process_vm_writev, nameof(SyscallNumber.process_vm_writev), pid, address, p, buffer.Length);
        }
    }

    // The kernel stops at the first page it cannot reach and tells how far it came.
    private static void Transfer(int number, string call, int pid, ulong address, byte* buffer, int length)
    {
        iovec local = new() { iov_base = (ulong)buffer, iov_len = (ulong)length };
        iovec remote = new() { iov_base = address, iov_len = (ulong)length };
        long done = Syscall.Invoke(number, pid, (long)&local, 1, (long)&remote, 1, 0);
        if (done != length)
        {
            Syscall.Check(done < 0 ? done : -Errno.EFAULT, () => $"{call}({pid}, 0x{address:x}, {length} bytes)");
        }
    }
}
