using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Kernel;

/// <summary>read(2) and pread(2) on descriptors that are no ordinary files, of which a stream would ask length and position.</summary>
internal static class FileRead
{
    /// <summary>Reads at the descriptor's own position.</summary>
    /// <returns>The number of bytes, 0 at the end, or minus an errno.</returns>
    public static long Read(SafeFileHandle file, Span<byte> buffer)
    {
        using var hold = new DescriptorHold(file);
        return Read(hold.Number, buffer);
    }

    /// <inheritdoc cref="Read(SafeFileHandle, Span{byte})"/>
    public static long Read(in BorrowedDescriptor file, Span<byte> buffer) => Read(file.Number, buffer);

    private static unsafe long Read(int file, Span<byte> buffer)
    {
        fixed (byte* target = buffer)
        {
            long result;
            do
            {
                result = Syscall.Invoke(SyscallNumber.read, file, (long)target, buffer.Length);
            }
            while (result == -Errno.EINTR);
            return result;
        }
    }

    /// <summary>Reads at the descriptor's own position until the end.</summary>
    public static byte[] ToEnd(SafeFileHandle file)
    {
        byte[] content = new byte[1 << 16];
        for (int length = 0; ;)
        {
            int count = (int)Syscall.Check(Read(file, content.AsSpan(length)), "read");
            if (count == 0)
            {
                return content[..length];
            }

            length += count;
            if (length == content.Length)
            {
                Array.Resize(ref content, length * 2);
            }
        }
    }

    /// <summary>Reads at an offset; the descriptor's position stays.</summary>
    /// <returns>The number of bytes, 0 at the end, or minus an errno.</returns>
    public static unsafe long ReadAt(SafeFileHandle file, Span<byte> buffer, long offset)
    {
        using var hold = new DescriptorHold(file);
        fixed (byte* target = buffer)
        {
            long result;
            do
            {
                result = Syscall.Invoke(SyscallNumber.pread64, hold.Number, (long)target, buffer.Length, offset);
            }
            while (result == -Errno.EINTR);
            return result;
        }
    }
}
