using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Kernel;

/// <summary>open_by_handle_at(2): opens an inode by what its file system calls it. Needs CAP_DAC_READ_SEARCH.</summary>
internal static unsafe class FileHandles
{
    private const int HeaderSize = 8;

    /// <summary>Opens an inode; null and the kernel's error number when it cannot be opened.</summary>
    /// <param name="mount">Any file of the file system.</param>
    /// <param name="type">The type of the handle.</param>
    /// <param name="handle">The handle.</param>
    /// <param name="flags">O_* flags; O_CLOEXEC is added.</param>
    /// <param name="errno">Zero, or why it failed.</param>
    public static SafeFileHandle? TryOpen(SafeFileHandle mount, int type, ReadOnlySpan<byte> handle, int flags, out int errno)
    {
        byte[] structure = new byte[HeaderSize + handle.Length];
        BinaryPrimitives.WriteInt32LittleEndian(structure, handle.Length);
        BinaryPrimitives.WriteInt32LittleEndian(structure.AsSpan(sizeof(int)), type);
        handle.CopyTo(structure.AsSpan(HeaderSize));
        using var hold = new DescriptorHold(mount);
        fixed (byte* p = structure)
        {
            long result = Syscall.Invoke(SyscallNumber.open_by_handle_at, hold.Number, (long)p, flags | Fcntl.O_CLOEXEC);
            errno = Syscall.IsError(result) ? (int)-result : 0;
            return errno == 0 ? new SafeFileHandle((nint)result, ownsHandle: true) : null;
        }
    }
}
