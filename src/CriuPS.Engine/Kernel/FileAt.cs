using System.Text;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Kernel;

/// <summary>
/// Files named relative to an open directory: making, opening, removing, writing and syncing them. A directory that is renamed or covered
/// by a mount meanwhile stays the same directory. Results are 0 (or a descriptor) and error numbers.
/// </summary>
internal static class FileAt
{
    /// <summary>Access modes and flags of open(2) (include/uapi/asm-generic/fcntl.h; x86-64 overrides none of them).</summary>
    public const int O_RDONLY = 0, O_WRONLY = 1, O_RDWR = 2, O_CREAT = 0x40, O_EXCL = 0x80, O_TRUNC = 0x200, O_DIRECTORY = 0x10000;

    /// <inheritdoc cref="O_RDONLY"/>
    public const int O_NOFOLLOW = 0x20000, O_CLOEXEC = 0x80000, O_NONBLOCK = 0x800;

    private const int AT_FDCWD = -100;
    private const int AT_REMOVEDIR = 0x200;

    /// <summary>openat(2); O_CLOEXEC is added.</summary>
    /// <param name="directory">Where a relative name starts; null for the working directory.</param>
    /// <param name="name">The name.</param>
    /// <param name="flags">Access mode and flags.</param>
    /// <param name="mode">Permission bits of a file that is made; the umask takes its share.</param>
    /// <param name="errno">0, or why it failed.</param>
    public static unsafe SafeFileHandle? TryOpen(SafeFileHandle? directory, string name, int flags, int mode, out int errno)
    {
        using var hold = new Hold(directory);
        fixed (byte* path = Terminated(name))
        {
            int at = hold.Number;
            nint address = (nint)path;
            long result = Retried(() => Syscall.Invoke(SyscallNumber.openat, at, address, flags | O_CLOEXEC, mode));
            errno = Syscall.IsError(result) ? (int)-result : 0;
            return errno == 0 ? new SafeFileHandle((nint)result, ownsHandle: true) : null;
        }
    }

    /// <summary>unlinkat(2): removes a name of a file.</summary>
    public static int TryUnlink(SafeFileHandle directory, string name) => Named(SyscallNumber.unlinkat, directory, name, 0);

    /// <summary>renameat(2) within a directory: the new name changes hands at once.</summary>
    public static unsafe int TryRename(SafeFileHandle directory, string from, string to)
    {
        using var hold = new Hold(directory);
        fixed (byte* oldPath = Terminated(from), newPath = Terminated(to))
        {
            return Error(Syscall.Invoke(SyscallNumber.renameat, hold.Number, (long)oldPath, hold.Number, (long)newPath));
        }
    }

    /// <summary>mkdirat(2) with permission bits.</summary>
    public static int TryMakeDirectory(string path, int mode) => Named(SyscallNumber.mkdirat, null, path, mode);

    /// <summary>unlinkat(2) with AT_REMOVEDIR: removes an empty directory.</summary>
    public static int TryRemoveDirectory(string path) => Named(SyscallNumber.unlinkat, null, path, AT_REMOVEDIR);

    /// <summary>fsync(2): waits until a file, or the names in a directory, are on disk.</summary>
    public static int TrySync(SafeFileHandle file)
    {
        using var hold = new Hold(file);
        int number = hold.Number;
        return Error(Retried(() => Syscall.Invoke(SyscallNumber.fsync, number)));
    }

    /// <summary>fallocate(2): makes sure that a part of a file has room; the result is the errno, 0 for success.</summary>
    public static int TryAllocate(SafeFileHandle file, long offset, long length)
    {
        using var hold = new Hold(file);
        int number = hold.Number;
        return Error(Retried(() => Syscall.Invoke(SyscallNumber.fallocate, number, 0, offset, length)));
    }

    /// <summary>fallocate(2): gives the room of a part of a file back; it reads as zeros, and the size stays.</summary>
    public static int TryPunchHole(SafeFileHandle file, long offset, long length)
    {
        const int FALLOC_FL_KEEP_SIZE = 1, FALLOC_FL_PUNCH_HOLE = 2;
        using var hold = new Hold(file);
        int number = hold.Number;
        return Error(Retried(() => Syscall.Invoke(SyscallNumber.fallocate, number, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, offset, length)));
    }

    /// <summary>syncfs(2): waits until all of a file system is on disk; since Linux 5.8 it tells of errors too.</summary>
    public static int TrySyncFileSystem(SafeFileHandle file)
    {
        using var hold = new Hold(file);
        int number = hold.Number;
        return Error(Retried(() => Syscall.Invoke(SyscallNumber.syncfs, number)));
    }

    /// <summary>write(2) at the descriptor's position until everything is written.</summary>
    public static unsafe int TryWriteAll(SafeFileHandle file, ReadOnlySpan<byte> bytes)
    {
        using var hold = new Hold(file);
        fixed (byte* start = bytes)
        {
            for (long done = 0; done < bytes.Length;)
            {
                long result = Syscall.Invoke(SyscallNumber.write, hold.Number, (long)(start + done), bytes.Length - done);
                if (Syscall.IsError(result) && result != -Errno.EINTR)
                {
                    return (int)-result;
                }

                done += Math.Max(result, 0);
            }
        }

        return 0;
    }

    /// <summary>pwrite64(2) until everything is written; the descriptor's position stays.</summary>
    public static unsafe int TryWriteAllAt(SafeFileHandle file, ReadOnlySpan<byte> bytes, long offset)
    {
        using var hold = new Hold(file);
        fixed (byte* start = bytes)
        {
            for (long done = 0; done < bytes.Length;)
            {
                long result = Syscall.Invoke(SyscallNumber.pwrite64, hold.Number, (long)(start + done), bytes.Length - done, offset + done);
                if (Syscall.IsError(result) && result != -Errno.EINTR)
                {
                    return (int)-result;
                }

                done += Math.Max(result, 0);
            }
        }

        return 0;
    }

    /// <summary>Device and inode of an open file: equal pairs mean the same file.</summary>
    /// <exception cref="Errors.KernelException">fstat(2) failed.</exception>
    public static unsafe (ulong Device, ulong Inode) Identity(SafeFileHandle file)
    {
        // struct stat begins with st_dev and st_ino, 8 bytes each, on x86-64 and arm64 (asm/stat.h); it is at most 144 bytes.
        ulong* stat = stackalloc ulong[32];
        using var hold = new Hold(file);
        Syscall.Check(Syscall.Invoke(SyscallNumber.fstat, hold.Number, (long)stat), "fstat");
        return (stat[0], stat[1]);
    }

    private static unsafe int Named(int call, SafeFileHandle? directory, string name, int argument)
    {
        using var hold = new Hold(directory);
        fixed (byte* path = Terminated(name))
        {
            return Error(Syscall.Invoke(call, hold.Number, (long)path, argument));
        }
    }

    private static int Error(long result) => Syscall.IsError(result) ? (int)-result : 0;

    private static long Retried(Func<long> call)
    {
        long result;
        do
        {
            result = call();
        }
        while (result == -Errno.EINTR);
        return result;
    }

    private static byte[] Terminated(string name)
    {
        byte[] bytes = new byte[Encoding.UTF8.GetByteCount(name) + 1];
        Encoding.UTF8.GetBytes(name, bytes);
        return bytes;
    }

    // Keeps the number from being closed, and given to somebody else, while it is inside a call.
    private readonly ref struct Hold : IDisposable
    {
        private readonly SafeFileHandle? _handle;

        public Hold(SafeFileHandle? handle)
        {
            bool added = false;
            handle?.DangerousAddRef(ref added);
            _handle = handle;
            Number = handle is null ? AT_FDCWD : (int)handle.DangerousGetHandle();
        }

        public int Number { get; }

        public void Dispose() => _handle?.DangerousRelease();
    }
}
