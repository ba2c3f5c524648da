using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Kernel;

/// <summary>fchown(2), fchmod(2), ftruncate(2): what belongs to a file and not to the way it is open.</summary>
internal static class InodeAttributes
{
    /// <summary>The bits that fchmod(2) sets.</summary>
    public const uint PermissionBits = 0xfff;

    public static void SetOwner(SafeFileHandle file, uint uid, uint gid)
    {
        using var hold = new DescriptorHold(file);
        Syscall.Check(Syscall.Invoke(SyscallNumber.fchown, hold.Number, uid, gid), () => $"fchown({uid}, {gid})");
    }

    /// <summary>Comes after <see cref="SetOwner"/>, which takes set-user-id bits away.</summary>
    public static void SetMode(SafeFileHandle file, uint mode)
    {
        using var hold = new DescriptorHold(file);
        Syscall.Check(Syscall.Invoke(SyscallNumber.fchmod, hold.Number, mode & PermissionBits), () => $"fchmod(0x{mode:x})");
    }

    public static void SetLength(SafeFileHandle file, long length)
    {
        using var hold = new DescriptorHold(file);
        Syscall.Check(Syscall.Invoke(SyscallNumber.ftruncate, hold.Number, length), () => $"ftruncate({length})");
    }
}
