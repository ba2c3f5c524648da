using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Kernel;

/// <summary>Owner, permissions, size and times: what belongs to a file and not to the way it is open.</summary>
internal static class InodeAttributes
{
    /// <summary>The bits that chmod(2) sets.</summary>
    public const uint PermissionBits = 0xfff;

    private const int AT_EMPTY_PATH = 0x1000;

    /// <summary>fchownat(2); the file may be open with O_PATH only, and be a symbolic link.</summary>
    public static unsafe void SetOwner(SafeFileHandle file, uint uid, uint gid)
    {
        byte empty = 0;
        using var hold = new DescriptorHold(file);
        Syscall.Check(
            Syscall.Invoke(SyscallNumber.fchownat, hold.Number, (long)&empty, uid, gid, AT_EMPTY_PATH), () => $"fchownat({uid}, {gid})");
    }

    /// <summary>
    /// chmod(2); the file may be open with O_PATH only, but is no symbolic link. Comes after <see cref="SetOwner"/>, which takes set-user-id bits away.
    /// </summary>
    public static unsafe void SetMode(SafeFileHandle file, uint mode)
    {
        using var hold = new DescriptorHold(file);
        fixed (byte* path = CString.From($"/proc/self/fd/{hold.Number}"))
        {
            Syscall.Check(Syscall.Invoke(SyscallNumber.chmod, (long)path, mode & PermissionBits), () => $"chmod(0x{mode:x})");
        }
    }

    public static void SetLength(SafeFileHandle file, long length)
    {
        using var hold = new DescriptorHold(file);
        Syscall.Check(Syscall.Invoke(SyscallNumber.ftruncate, hold.Number, length), () => $"ftruncate({length})");
    }

    /// <summary>utimensat(2) with AT_EMPTY_PATH (since Linux 5.8): the times of access and change.</summary>
    public static unsafe void SetTimes(SafeFileHandle file, timespec access, timespec modification)
    {
        byte empty = 0;
        timespec* times = stackalloc timespec[] { access, modification };
        using var hold = new DescriptorHold(file);
        Syscall.Check(Syscall.Invoke(SyscallNumber.utimensat, hold.Number, (long)&empty, (long)times, AT_EMPTY_PATH), "utimensat");
    }
}
