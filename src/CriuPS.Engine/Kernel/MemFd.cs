using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Kernel;

/// <summary>memfd_create(2) and the seals of fcntl(2), from include/uapi/linux/memfd.h and fcntl.h.</summary>
internal static unsafe class MemFd
{
    public const int MFD_CLOEXEC = 1, MFD_ALLOW_SEALING = 2, MFD_HUGETLB = 4, MFD_EXEC = 0x10;
    public const int F_ADD_SEALS = 1033, F_GET_SEALS = 1034, F_SEAL_SEAL = 1;

    /// <summary>Makes a memory file that may be executed; the descriptor is close-on-exec.</summary>
    /// <param name="name">Its name without the kernel's prefix.</param>
    /// <param name="flags">MFD_* flags besides.</param>
    /// <exception cref="Errors.KernelException">It cannot be made.</exception>
    public static SafeFileHandle Create(ReadOnlySpan<byte> name, int flags = 0)
    {
        fixed (byte* text = CString.From(name))
        {
            long fd = Syscall.Invoke(SyscallNumber.memfd_create, (long)text, MFD_CLOEXEC | MFD_EXEC | flags);
            if (fd == -Errno.EINVAL)
            {
                // Kernels before 6.3 do not know MFD_EXEC: there every memory file may be executed.
                fd = Syscall.Invoke(SyscallNumber.memfd_create, (long)text, MFD_CLOEXEC | flags);
            }

            return new SafeFileHandle((nint)Syscall.Check(fd, "memfd_create"), ownsHandle: true);
        }
    }
}
