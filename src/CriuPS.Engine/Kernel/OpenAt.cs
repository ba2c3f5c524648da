using CriuPS.Engine.Errors;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Kernel;

/// <summary>openat(2): opens a path relative to an open directory.</summary>
internal static class OpenAt
{
    /// <summary>Stands for the working directory where a directory's descriptor is expected (include/uapi/linux/fcntl.h).</summary>
    public const int AT_FDCWD = -100;

    /// <summary>Flags (include/uapi/asm-generic/fcntl.h; x86-64 overrides none of them).</summary>
    public const int O_RDONLY = 0, O_WRONLY = 1, O_RDWR = 2;

    /// <inheritdoc cref="O_RDONLY"/>
    public const int O_DIRECTORY = 0x10000, O_CLOEXEC = 0x80000, O_PATH = 0x200000;

    /// <summary>Opens a path; null and the kernel's error number when it cannot be opened.</summary>
    /// <param name="directory">Where a relative path starts; null for the working directory.</param>
    /// <param name="path">The path, ended by a zero byte.</param>
    /// <param name="flags">Access mode and O_* flags; O_CLOEXEC is added.</param>
    /// <param name="errno">Zero, or why it failed.</param>
    public static SafeFileHandle? TryOpen(SafeFileHandle? directory, ReadOnlySpan<byte> path, int flags, out int errno)
    {
        long result = directory is null ? Invoke(AT_FDCWD, path, flags) : InvokeIn(directory, path, flags);
        errno = Syscall.IsError(result) ? (int)-result : 0;
        return errno == 0 ? new SafeFileHandle((nint)result, ownsHandle: true) : null;
    }

    /// <summary>Opens a path for the length of a block.</summary>
    /// <inheritdoc cref="TryOpen"/>
    public static BorrowedDescriptor Borrow(SafeFileHandle? directory, ReadOnlySpan<byte> path, int flags, out int errno)
    {
        long result = directory is null ? Invoke(AT_FDCWD, path, flags) : InvokeIn(directory, path, flags);
        errno = Syscall.IsError(result) ? (int)-result : 0;
        return new BorrowedDescriptor((int)result);
    }

    /// <summary>Opens an absolute path.</summary>
    /// <exception cref="KernelException">It cannot be opened.</exception>
    public static SafeFileHandle Open(string path, int flags) =>
        TryOpen(null, CString.From(path), flags, out int errno) ?? throw new KernelException($"openat({path})", errno);

    private static long InvokeIn(SafeFileHandle directory, ReadOnlySpan<byte> path, int flags)
    {
        using var hold = new DescriptorHold(directory);
        return Invoke(hold.Number, path, flags);
    }

    private static unsafe long Invoke(int directory, ReadOnlySpan<byte> path, int flags)
    {
        fixed (byte* text = path)
        {
            long result;
            do
            {
                result = Syscall.Invoke(SyscallNumber.openat, directory, (long)text, flags | O_CLOEXEC);
            }
            while (result == -Errno.EINTR);
            return result;
        }
    }
}
