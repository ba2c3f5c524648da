using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Kernel;

/// <summary>
/// Makes and removes names of files: link(2), unlink(2), mkdir(2), rmdir(2), symlink(2), mknod(2), open(2) with O_CREAT. Paths are absolute and raw bytes,
/// because a file may be called anything. Results are 0 and error numbers.
/// </summary>
internal static unsafe class FileNames
{
    private const int AT_FDCWD = -100, AT_EMPTY_PATH = 0x1000, AT_REMOVEDIR = 0x200;

    /// <summary>Makes an empty regular file that must not be there yet, open for both directions.</summary>
    public static SafeFileHandle? TryCreate(ReadOnlySpan<byte> path, out int errno) =>
        TryOpen(path, Fcntl.O_RDWR | Fcntl.O_CREAT | Fcntl.O_EXCL | Fcntl.O_NOFOLLOW, out errno);

    /// <summary>Makes a regular file without a name (O_TMPFILE).</summary>
    /// <param name="directory">On whose file system.</param>
    /// <param name="flags">How it is open.</param>
    /// <param name="errno">0, or why it failed.</param>
    public static SafeFileHandle? TryCreateNameless(ReadOnlySpan<byte> directory, int flags, out int errno) =>
        TryOpen(directory, flags | Fcntl.O_TMPFILE, out errno);

    /// <summary>Gives an open file one more name.</summary>
    public static int TryLink(SafeFileHandle file, ReadOnlySpan<byte> path)
    {
        byte empty = 0;
        using var hold = new DescriptorHold(file);
        fixed (byte* text = CString.From(path))
        {
            return Error(Syscall.Invoke(SyscallNumber.linkat, hold.Number, (long)&empty, AT_FDCWD, (long)text, AT_EMPTY_PATH));
        }
    }

    public static int TryMakeDirectory(ReadOnlySpan<byte> path, uint mode) => Named(SyscallNumber.mkdirat, path, mode);

    /// <summary>Makes a FIFO, or the node of a device, for which CAP_MKNOD is needed.</summary>
    public static int TryMakeNode(ReadOnlySpan<byte> path, uint kind, uint device)
    {
        fixed (byte* text = CString.From(path))
        {
            return Error(Syscall.Invoke(SyscallNumber.mknodat, AT_FDCWD, (long)text, kind, device));
        }
    }

    public static int TryUnlink(ReadOnlySpan<byte> path) => Named(SyscallNumber.unlinkat, path, 0);

    public static int TryRemoveDirectory(ReadOnlySpan<byte> path) => Named(SyscallNumber.unlinkat, path, AT_REMOVEDIR);

    public static int TryRename(ReadOnlySpan<byte> from, ReadOnlySpan<byte> to)
    {
        fixed (byte* old = CString.From(from), text = CString.From(to))
        {
            return Error(Syscall.Invoke(SyscallNumber.renameat, AT_FDCWD, (long)old, AT_FDCWD, (long)text));
        }
    }

    public static int TryMakeSymbolicLink(ReadOnlySpan<byte> target, ReadOnlySpan<byte> path)
    {
        fixed (byte* content = CString.From(target), text = CString.From(path))
        {
            return Error(Syscall.Invoke(SyscallNumber.symlinkat, (long)content, AT_FDCWD, (long)text));
        }
    }

    /// <summary>What a symbolic link, open with O_PATH, leads to.</summary>
    /// <exception cref="Errors.KernelException">It cannot be read.</exception>
    public static byte[] ReadSymbolicLink(SafeFileHandle link)
    {
        byte empty = 0;
        byte[] buffer = new byte[FileStatus.Of(link).st_size + 1];
        using var hold = new DescriptorHold(link);
        fixed (byte* text = buffer)
        {
            long length = Syscall.Invoke(SyscallNumber.readlinkat, hold.Number, (long)&empty, (long)text, buffer.Length);
            return buffer[..(int)Syscall.Check(length, "readlinkat of a symbolic link")];
        }
    }

    private static SafeFileHandle? TryOpen(ReadOnlySpan<byte> path, int flags, out int errno)
    {
        const int OwnerOnly = 0x180;
        fixed (byte* text = CString.From(path))
        {
            long result = Syscall.Invoke(SyscallNumber.openat, AT_FDCWD, (long)text, flags | Fcntl.O_CLOEXEC, OwnerOnly);
            errno = Error(result);
            return errno == 0 ? new SafeFileHandle((nint)result, ownsHandle: true) : null;
        }
    }

    private static int Named(int call, ReadOnlySpan<byte> path, long argument)
    {
        fixed (byte* text = CString.From(path))
        {
            return Error(Syscall.Invoke(call, AT_FDCWD, (long)text, argument));
        }
    }

    private static int Error(long result) => Syscall.IsError(result) ? (int)-result : 0;
}
