using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Kernel;

/// <summary>stat(2) by descriptor or path.</summary>
internal static unsafe class FileStatus
{
    public const uint S_IFMT = 0xf000, S_IFSOCK = 0xc000, S_IFLNK = 0xa000, S_IFREG = 0x8000, S_IFBLK = 0x6000, S_IFDIR = 0x4000;
    public const uint S_IFCHR = 0x2000, S_IFIFO = 0x1000;

    private const int AT_SYMLINK_NOFOLLOW = 0x100, AT_FDCWD = -100;

    /// <summary>struct stat of x86-64 (arch/x86/include/uapi/asm/stat.h).</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct stat
    {
        public ulong st_dev;
        public ulong st_ino;
        public ulong st_nlink;
        public uint st_mode;
        public uint st_uid;
        public uint st_gid;
        public uint __pad0;
        public ulong st_rdev;
        public long st_size;
        public long st_blksize;
        public long st_blocks;
        public ulong st_atime;
        public ulong st_atime_nsec;
        public ulong st_mtime;
        public ulong st_mtime_nsec;
        public ulong st_ctime;
        public ulong st_ctime_nsec;
        public long __unused0;
        public long __unused1;
        public long __unused2;

        /// <summary>Whether it is a socket, or the file that one is bound to.</summary>
        public readonly bool IsSocket => (st_mode & S_IFMT) == S_IFSOCK;
    }

    public static stat Of(SafeFileHandle handle)
    {
        using DescriptorHold hold = new(handle);
        return Of(hold.Number);
    }

    /// <inheritdoc cref="Of(SafeFileHandle)"/>
    public static stat Of(in BorrowedDescriptor file) => Of(file.Number);

    private static stat Of(int descriptor)
    {
        stat status;
        Syscall.Check(Syscall.Invoke(SyscallNumber.fstat, descriptor, (long)&status), "fstat");
        return status;
    }

    /// <summary>The status of a path, links followed; false with the errno where there is none.</summary>
    public static bool TryOf(ReadOnlySpan<byte> path, out stat status, out int errno, bool followLinks = true)
    {
        byte[] terminated = [.. path, 0];
        fixed (byte* p = terminated)
        fixed (stat* s = &status)
        {
            long result = Syscall.Invoke(SyscallNumber.newfstatat, AT_FDCWD, (long)p, (long)s, followLinks ? 0 : AT_SYMLINK_NOFOLLOW);
            errno = Syscall.IsError(result) ? (int)-result : 0;
            return errno == 0;
        }
    }

    /// <summary>The status of a path below an open directory, links followed; false with the errno where there is none.</summary>
    /// <param name="directory">The directory.</param>
    /// <param name="path">The path, ended by a zero byte.</param>
    /// <param name="status">The status.</param>
    /// <param name="errno">Zero, or why there is none.</param>
    public static bool TryOf(SafeFileHandle directory, ReadOnlySpan<byte> path, out stat status, out int errno)
    {
        using DescriptorHold hold = new(directory);
        fixed (byte* p = path)
        fixed (stat* s = &status)
        {
            long result = Syscall.Invoke(SyscallNumber.newfstatat, hold.Number, (long)p, (long)s, 0);
            errno = Syscall.IsError(result) ? (int)-result : 0;
            return errno == 0;
        }
    }

    /// <inheritdoc cref="TryOf(ReadOnlySpan{byte}, out stat, out int, bool)"/>
    public static bool TryOf(string path, out stat status, out int errno, bool followLinks = true) =>
        TryOf(Encoding.UTF8.GetBytes(path), out status, out errno, followLinks);
}
