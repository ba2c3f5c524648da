using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects.Files;
using CriuPS.Engine.Proc;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Memory;

/// <summary>
/// Memory that is a file without being in any directory: shared anonymous memory (mmap(2) with MAP_SHARED | MAP_ANONYMOUS, or of /dev/zero) and
/// memory files (memfd_create(2)). Both are inodes of a tmpfs that only the kernel has mounted (mm/shmem.c, shm_mnt), or of one of its mounts of huge
/// pages (<see cref="HugePages"/>), so one way saves all.
/// /proc names them <c>/dev/zero (deleted)</c> and <c>/memfd:NAME (deleted)</c>; System V segments are there too, as <c>/SYSV…</c>.
/// </summary>
internal static class SharedMemory
{
    /// <summary>What the kernel calls every piece of shared anonymous memory.</summary>
    public static ReadOnlySpan<byte> AnonymousName => "/dev/zero"u8;

    private static readonly Lazy<ulong> s_device = new(FindDevice);

    private static ReadOnlySpan<byte> FilePrefix => "/memfd:"u8;

    /// <summary>Whether an open file is such memory.</summary>
    public static bool Is(OpenFile file) => IsOnKernelMount(file.Status) && HasName(file.Link);

    /// <summary>Whether such memory is behind a mapping.</summary>
    public static bool Is(Vma vma) => HasName(vma.Path) && IsKernelMount(Device(vma.DeviceMajor, vma.DeviceMinor));

    /// <summary>Whether a file is on the kernel's own tmpfs, or on one of its mounts of huge pages, whatever it is.</summary>
    public static bool IsOnKernelMount(FileStatus.stat status) => IsKernelMount(status.st_dev);

    /// <summary>The name in images: that of memfd_create(2), or <see cref="AnonymousName"/>.</summary>
    public static ReadOnlySpan<byte> NameOf(OsText link)
    {
        ReadOnlySpan<byte> name = link.Bytes;
        name = name.StartsWith(FilePrefix) ? name[FilePrefix.Length..] : name;
        return DeletedMark.CutFrom(name);
    }

    private static bool HasName(OsText link) => DeletedMark.IsBehind(link.Bytes) && (link.StartsWith(FilePrefix) || IsAnonymous(NameOf(link)));

    /// <summary>Whether a name in images is that of anonymous memory.</summary>
    public static bool IsAnonymous(ReadOnlySpan<byte> name) => name.SequenceEqual(AnonymousName) || name.SequenceEqual(HugePages.AnonymousName);

    private static bool IsKernelMount(ulong device) => device == s_device.Value || HugePages.SizeOf(device) != 0;

    private static ulong FindDevice()
    {
        using SafeFileHandle probe = MemFd.Create("criups"u8);
        return FileStatus.Of(probe).st_dev;
    }

    // The kernel's huge device number, as stat(2) gives it (include/linux/kdev_t.h, new_encode_dev).
    private static ulong Device(ulong major, ulong minor) => (minor & 0xff) | (major << 8) | ((minor & ~0xffUL) << 12);
}
