using System.Globalization;
using System.Runtime.InteropServices;
using CriuPS.Engine.Images;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Check;

/// <summary>Mounts, each made in a mount namespace that ends with the probe (mount(2), fsopen(2), move_mount(2)).</summary>
internal static class MountFeatures
{
    private const int MS_BIND = 4096, MS_REC = 16384, MS_PRIVATE = 1 << 18, MS_SHARED = 1 << 20;
    private const int MOVE_MOUNT_SET_GROUP = 0x100, MOVE_MOUNT_F_EMPTY_PATH = 4;
    private const int FSOPEN_CLOEXEC = 1, FSCONFIG_CMD_CREATE = 6, FolderMode = 0x1c0;

    // Any directory that every system has: only the child sees what is mounted over it.
    private const string Place = "/proc";

    public static readonly Feature SetGroup = new("move_mount_set_group", FeatureCategory.Extra, ProbeSetGroup)
    {
        NeededFor = "groups of mounts that propagate to each other", KnownToCriu = true, Since = "Linux 5.15", Privilege = "CAP_SYS_ADMIN",
    };

    public static readonly Feature NewInterface = new("fsopen", FeatureCategory.Engine, ProbeNewInterface)
    {
        NeededFor = "making mounts before they are attached", Since = "Linux 5.2", Privilege = "CAP_SYS_ADMIN",
    };

    public static readonly Feature OverlayMaps = new("overlayfs_maps", FeatureCategory.Extra, ProbeOverlayMaps)
    {
        NeededFor = "mapped files of overlay file systems", KnownToCriu = true, Since = "Linux 6.8 with CONFIG_OVERLAY_FS",
        Privilege = "CAP_SYS_ADMIN",
    };

    public static readonly Feature AutoFs = new("autofs", FeatureCategory.Experimental, ProbeAutoFs)
    {
        NeededFor = "automatic mounts", KnownToCriu = true, Since = "Linux 4.10 with CONFIG_AUTOFS_FS", Privilege = "CAP_SYS_ADMIN",
    };

    /// <summary>Gives a child a mount namespace of its own and an empty file system in it; the result is its path.</summary>
    public static string PrivateFolder(ProbeChild child)
    {
        child.Must("unshare(CLONE_NEWNS)", SyscallNumber.unshare, (long)NamespaceFeatures.CLONE_NEWNS);
        Syscall.Check(Mount(child, "none", "/", null, MS_REC | MS_PRIVATE), "mount(MS_PRIVATE)");
        Syscall.Check(Mount(child, "criups", Place, "tmpfs", 0), "mount of a tmpfs");
        return Place;
    }

    private static Answer ProbeSetGroup(ProbeBench bench)
    {
        using ProbeChild child = bench.Fresh();
        string folder = PrivateFolder(child);
        string inner = MakeFolder(child, $"{folder}/inner");
        Syscall.Check(Mount(child, inner, inner, null, MS_BIND), "mount(MS_BIND)");
        Syscall.Check(Mount(child, "none", folder, null, MS_SHARED), "mount(MS_SHARED)");
        long result = child.Call(
            SyscallNumber.move_mount, OpenAt.AT_FDCWD, child.Put(folder), OpenAt.AT_FDCWD, child.Put(inner), MOVE_MOUNT_SET_GROUP);
        if (Syscall.IsError(result))
        {
            return Answer.Of("move_mount(MOVE_MOUNT_SET_GROUP)", result);
        }

        MountInfo[] both = [.. MountInfo.Read(child.Proc).Where(one => one.Source.Bytes.SequenceEqual("criups"u8))];
        return Answer.Of(
            "move_mount(MOVE_MOUNT_SET_GROUP)", both is [{ SharedGroup: { } first }, { SharedGroup: { } second }] && first == second);
    }

    private static Answer ProbeNewInterface(ProbeBench bench)
    {
        using ProbeChild child = bench.Fresh();
        string folder = PrivateFolder(child);
        long context = child.Call(SyscallNumber.fsopen, child.Put("tmpfs"), FSOPEN_CLOEXEC);
        if (Syscall.IsError(context))
        {
            return Answer.Of("fsopen", context);
        }

        child.Must("fsconfig", SyscallNumber.fsconfig, context, FSCONFIG_CMD_CREATE, 0, 0, 0);
        long mount = child.Must("fsmount", SyscallNumber.fsmount, context, 0, 0);
        return Answer.Of("fsopen, fsmount, move_mount", child.Call(
            SyscallNumber.move_mount, mount, child.Put(""), OpenAt.AT_FDCWD, child.Put(folder), MOVE_MOUNT_F_EMPTY_PATH));
    }

    // /proc/PID/maps must name the device and the inode that stat(2) does.
    private static Answer ProbeOverlayMaps(ProbeBench bench)
    {
        using ProbeChild child = bench.Fresh();
        string folder = PrivateFolder(child);
        string lower = MakeFolder(child, $"{folder}/l"), upper = MakeFolder(child, $"{folder}/u"), work = MakeFolder(child, $"{folder}/w");
        string mount = MakeFolder(child, $"{folder}/m");
        long result = Mount(child, "criups", mount, "overlay", 0, $"lowerdir={lower},upperdir={upper},workdir={work}");
        if (Syscall.IsError(result))
        {
            return Answer.Of("mount of an overlay", result);
        }

        long file = Syscall.Check(child.Open($"{mount}/file", Fcntl.O_RDWR | Fcntl.O_CREAT), "open of a file of the overlay");
        ulong address = (ulong)child.Must(
            "mmap", SyscallNumber.mmap, 0, Memory.PageSize, Memory.PROT_READ, Memory.MAP_SHARED, file, 0);
        long status = child.Room(Marshal.SizeOf<FileStatus.stat>());
        child.Must("fstat", SyscallNumber.fstat, file, status);
        FileStatus.stat told = child.Read<FileStatus.stat>(status);
        Vma mapped = ProcMaps.Read(child.Proc).First(vma => vma.Start == address);
        return Answer.Of(
            "/proc/PID/maps of an overlay's file",
            mapped.Inode == told.st_ino && DeviceNumber.Show(told.st_dev, user: true) == $"{mapped.DeviceMajor}:{mapped.DeviceMinor}");
    }

    private static Answer ProbeAutoFs(ProbeBench bench)
    {
        using ProbeChild child = bench.Fresh();
        string mount = MakeFolder(child, $"{PrivateFolder(child)}/auto");
        long ends = child.Room(2 * sizeof(int));
        child.Must("pipe2", SyscallNumber.pipe2, ends, 0);
        int pipe = child.Read<int>(ends + sizeof(int));
        long group = child.Must("getpgrp", SyscallNumber.getpgrp);
        string options = string.Create(CultureInfo.InvariantCulture, $"fd={pipe},pgrp={group},minproto=5,maxproto=5,direct");
        long result = Mount(child, "criups", mount, "autofs", 0, options);
        return Syscall.IsError(result)
            ? Answer.Of("mount of an autofs", result)
            : Answer.Of("pipe_ino of an autofs in /proc/PID/mountinfo", MountInfo.Read(child.Proc).Any(
                one => one.FileSystemType.Bytes.SequenceEqual("autofs"u8) && one.SuperOptions.Bytes.IndexOf("pipe_ino="u8) >= 0));
    }

    private static long Mount(ProbeChild child, string source, string target, string? type, int flags, string? data = null) => child.Call(
        SyscallNumber.mount,
        child.Put(source), child.Put(target), type is null ? 0 : child.Put(type), flags, data is null ? 0 : child.Put(data));

    private static string MakeFolder(ProbeChild child, string path)
    {
        child.Must($"mkdir({path})", SyscallNumber.mkdir, child.Put(path), FolderMode);
        return path;
    }
}
