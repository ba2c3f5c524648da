using System.Buffers;

namespace CriuPS.Engine.Kernel;

/// <summary>process_vm_readv(2) and process_vm_writev(2).</summary>
internal static unsafe class ProcessVm
{
    private const int IOV_MAX = 1024, LargestMove = 1 << 20;

    /// <summary>Reads memory of a process; all of it or a failure.</summary>
    public static void Read(int pid, ulong address, Span<byte> buffer)
    {
        fixed (byte* p = buffer)
        {
            Transfer(SyscallNumber.process_vm_readv, nameof(SyscallNumber.process_vm_readv), pid, address, p, buffer.Length);
        }
    }

    /// <summary>Reads memory of a process; false where not all of it is there.</summary>
    public static bool TryRead(int pid, ulong address, Span<byte> buffer)
    {
        fixed (byte* p = buffer)
        {
            iovec local = new() { iov_base = (ulong)p, iov_len = (ulong)buffer.Length }, remote = new() { iov_base = address, iov_len = (ulong)buffer.Length };
            return Syscall.Invoke(SyscallNumber.process_vm_readv, pid, (long)&local, 1, (long)&remote, 1, 0) == buffer.Length;
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

    /// <summary>Reads many pieces by few calls; all of them or a failure.</summary>
    public static void Read(int pid, IReadOnlyList<MemoryPiece> pieces) => Move(pid, pieces, write: false);

    /// <summary>Writes many pieces by few calls; all of them or a failure.</summary>
    public static void Write(int pid, IReadOnlyList<MemoryPiece> pieces) => Move(pid, pieces, write: true);

    // On our side the pieces lie one behind the other in one buffer: arrays would have to be pinned one by one.
    private static void Move(int pid, IReadOnlyList<MemoryPiece> all, bool write)
    {
        IReadOnlyList<MemoryPiece> pieces = all.Any(piece => piece.Bytes.Length > LargestMove) ? [.. all.SelectMany(Parts)] : all;
        byte[] buffer = ArrayPool<byte>.Shared.Rent(LargestMove);
        iovec[] remote = new iovec[Math.Min(pieces.Count, IOV_MAX)];
        try
        {
            for (int first = 0; first < pieces.Count;)
            {
                int count = 0, length = 0;
                for (; first + count < pieces.Count && count < IOV_MAX && Fits(length, pieces[first + count].Bytes.Length); count++)
                {
                    MemoryPiece piece = pieces[first + count];
                    remote[count] = new iovec { iov_base = piece.Address, iov_len = (ulong)piece.Bytes.Length };
                    if (write)
                    {
                        piece.Bytes.Span.CopyTo(buffer.AsSpan(length));
                    }

                    length += piece.Bytes.Length;
                }

                Transfer(pid, write, buffer.AsSpan(0, length), remote.AsSpan(0, count));
                for (int i = 0, at = 0; !write && i < count; at += pieces[first + i++].Bytes.Length)
                {
                    buffer.AsSpan(at, pieces[first + i].Bytes.Length).CopyTo(pieces[first + i].Bytes.Span);
                }

                first += count;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static bool Fits(int used, int piece) => used + piece <= LargestMove;

    private static IEnumerable<MemoryPiece> Parts(MemoryPiece piece)
    {
        for (int at = 0; at < piece.Bytes.Length; at += LargestMove)
        {
            yield return new MemoryPiece(piece.Address + (ulong)at, piece.Bytes.Slice(at, Math.Min(LargestMove, piece.Bytes.Length - at)));
        }
    }

    private static void Transfer(int pid, bool write, Span<byte> buffer, Span<iovec> remote)
    {
        fixed (byte* p = buffer)
        {
            fixed (iovec* pieces = remote)
            {
                iovec local = new() { iov_base = (ulong)p, iov_len = (ulong)buffer.Length };
                int number = write ? SyscallNumber.process_vm_writev : SyscallNumber.process_vm_readv;
                long done = Syscall.Invoke(number, pid, (long)&local, 1, (long)pieces, remote.Length, 0);
                if (done != buffer.Length)
                {
                    ulong address = remote[0].iov_base;
                    int count = remote.Length;
                    Syscall.Check(
                        done < 0 ? done : -Errno.EFAULT, () => $"process_vm_{(write ? "writev" : "readv")}({pid}, {count} pieces from 0x{address:x})");
                }
            }
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
