using System.Runtime.InteropServices;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Check;

/// <summary>Calls on open files: comparing, opening, closing, owners, pipes and terminals.</summary>
internal static class FileFeatures
{
    private const int F_GETOWNER_UIDS = 17, KCMP_EPOLL_TFD = 7, SPLICE_F_NONBLOCK = 2, SPLICE_F_GIFT = 8, AT_EMPTY_PATH = 0x1000;
    private const uint TIOCSPTLCK = 0x40045431, TIOCGPTPEER = 0x5441;
    private const int RESOLVE_IN_ROOT = 0x10, LargestHandle = 128;

    /// <summary>struct open_how, include/uapi/linux/openat2.h.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct open_how
    {
        public ulong flags;
        public ulong mode;
        public ulong resolve;
    }

    /// <summary>struct kcmp_epoll_slot, include/uapi/linux/kcmp.h.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct kcmp_epoll_slot
    {
        public uint efd;
        public uint tfd;
        public uint toff;
    }

    public static readonly Feature Compare = new("kcmp", FeatureCategory.Basic, ProbeCompare)
    {
        NeededFor = "which descriptors are one open file", Required = true, Since = "Linux 3.5 with CONFIG_KCMP",
        Privilege = "CAP_SYS_PTRACE",
    };

    public static readonly Feature CompareEpoll = new("kcmp_epoll", FeatureCategory.Extra, ProbeCompareEpoll)
    {
        NeededFor = "epoll instances that watch closed or moved descriptors", KnownToCriu = true, Since = "Linux 4.13 with CONFIG_KCMP",
    };

    public static readonly Feature OwnerUids = new("file_owner_uids", FeatureCategory.Basic, ProbeOwnerUids)
    {
        NeededFor = "who is told of input (F_SETOWN)", Since = "Linux 3.6 with CONFIG_CHECKPOINT_RESTORE",
    };

    public static readonly Feature VmSplice = new("vmsplice_unaligned", FeatureCategory.Basic, ProbeVmSplice)
    {
        NeededFor = "memory into pipes, CRIU's way; nothing of ours", Since = "Linux 2.6.17",
    };

    public static readonly Feature TerminalLock = new("tty_lock", FeatureCategory.Basic, ProbeTerminalLock)
    {
        NeededFor = "pseudo-terminals", Since = "a kernel with CONFIG_UNIX98_PTYS, and /dev/ptmx",
    };

    public static readonly Feature CloseRange = new("close_range", FeatureCategory.Engine, ProbeCloseRange)
    {
        NeededFor = "a newborn without inherited descriptors", Required = true, Since = "Linux 5.9",
    };

    public static readonly Feature OpenAt2 = new("openat2", FeatureCategory.Extra, ProbeOpenAt2)
    {
        NeededFor = "opening paths inside of a restored root", KnownToCriu = true, Since = "Linux 5.6",
    };

    public static readonly Feature Handles = new("open_by_handle_at", FeatureCategory.Engine, ProbeHandles)
    {
        NeededFor = "the files that inotify and fanotify watch", Since = "Linux 2.6.39 with CONFIG_FHANDLE",
        Privilege = "CAP_DAC_READ_SEARCH",
    };

    private static Answer ProbeCompare(ProbeBench bench)
    {
        ProbeChild child = bench.Child;
        int one = (int)child.Must("eventfd2", SyscallNumber.eventfd2, 0, 0);
        int other = (int)child.Must("eventfd2", SyscallNumber.eventfd2, 0, 0);
        int same = (int)child.Must("dup", SyscallNumber.dup, one);
        return Answer.Of(
            "kcmp(KCMP_FILE)", Kcmp.SameFile(child.Pid, one, child.Pid, same) && !Kcmp.SameFile(child.Pid, one, child.Pid, other));
    }

    private static Answer ProbeCompareEpoll(ProbeBench bench)
    {
        ProbeChild child = bench.Child;
        (long epoll, int watched) = DescriptorFeatures.MakeEpoll(child);
        long slot = child.Put(new kcmp_epoll_slot { efd = (uint)epoll, tfd = (uint)watched });
        long result = child.Call(SyscallNumber.kcmp, child.Pid, child.Pid, KCMP_EPOLL_TFD, watched, slot);
        return Syscall.IsError(result) ? Answer.Of("kcmp(KCMP_EPOLL_TFD)", result) : Answer.Of("kcmp(KCMP_EPOLL_TFD)", result == 0);
    }

    private static Answer ProbeOwnerUids(ProbeBench bench)
    {
        ProbeChild child = bench.Child;
        long fd = child.Must("eventfd2", SyscallNumber.eventfd2, 0, 0);
        return Answer.Of("fcntl(F_GETOWNER_UIDS)", child.Call(SyscallNumber.fcntl, fd, F_GETOWNER_UIDS, child.Room(2 * sizeof(uint))));
    }

    private static Answer ProbeVmSplice(ProbeBench bench)
    {
        ProbeChild child = bench.Child;
        long ends = child.Room(2 * sizeof(int));
        child.Must("pipe2", SyscallNumber.pipe2, ends, 0);
        long vector = child.Put(new iovec { iov_base = (ulong)child.Put("xyz"u8) + 1, iov_len = 1 });
        long result = child.Call(SyscallNumber.vmsplice, child.Read<int>(ends + sizeof(int)), vector, 1, SPLICE_F_GIFT | SPLICE_F_NONBLOCK);
        return Answer.Of("vmsplice of one byte", result);
    }

    private static Answer ProbeTerminalLock(ProbeBench bench)
    {
        ProbeChild child = bench.Child;
        long master = child.Open("/dev/ptmx", OpenAt.O_RDWR | Fcntl.O_NOCTTY);
        if (Syscall.IsError(master))
        {
            return Answer.Of("open of /dev/ptmx", master);
        }

        child.Must("ioctl(TIOCSPTLCK)", SyscallNumber.ioctl, master, TIOCSPTLCK, child.Put(1));
        long locked = child.Call(SyscallNumber.ioctl, master, TIOCGPTPEER, Fcntl.O_RDWR | Fcntl.O_NOCTTY);
        child.Must("ioctl(TIOCSPTLCK)", SyscallNumber.ioctl, master, TIOCSPTLCK, child.Put(0));
        long unlocked = child.Call(SyscallNumber.ioctl, master, TIOCGPTPEER, Fcntl.O_RDWR | Fcntl.O_NOCTTY);
        return Syscall.IsError(unlocked)
            ? Answer.Of("ioctl(TIOCGPTPEER)", unlocked)
            : Answer.Of("ioctl(TIOCSPTLCK)", locked == -Errno.EIO);
    }

    private static Answer ProbeCloseRange(ProbeBench bench)
    {
        ProbeChild child = bench.Child;
        long fd = child.Must("eventfd2", SyscallNumber.eventfd2, 0, 0);
        long result = child.Call(SyscallNumber.close_range, fd, fd, 0);
        return Syscall.IsError(result)
            ? Answer.Of("close_range", result)
            : Answer.Of("close_range", child.Call(SyscallNumber.fcntl, fd, Fcntl.F_GETFD) == -Errno.EBADF);
    }

    private static Answer ProbeOpenAt2(ProbeBench bench)
    {
        ProbeChild child = bench.Child;
        long root = Syscall.Check(child.Open("/proc/self", OpenAt.O_PATH | OpenAt.O_DIRECTORY), "open of /proc/self");
        long how = child.Put(new open_how { flags = OpenAt.O_RDONLY, resolve = RESOLVE_IN_ROOT });
        return Answer.Of(
            "openat2(RESOLVE_IN_ROOT)",
            child.Call(SyscallNumber.openat2, root, child.Put("/../status"), how, Marshal.SizeOf<open_how>()));
    }

    // struct file_handle: size and type, then the handle itself.
    private static Answer ProbeHandles(ProbeBench bench)
    {
        ProbeChild child = bench.Child;
        long fd = child.Must("memfd_create", SyscallNumber.memfd_create, child.Put("probe"), 0);
        long handle = child.Put(MemoryMarshal.AsBytes<int>([LargestHandle, 0, .. new int[LargestHandle / sizeof(int)]]));
        long named = child.Call(SyscallNumber.name_to_handle_at, fd, child.Put(""), handle, child.Room(sizeof(int)), AT_EMPTY_PATH);
        return Syscall.IsError(named)
            ? Answer.Of("name_to_handle_at", named)
            : Answer.Of("open_by_handle_at", child.Call(SyscallNumber.open_by_handle_at, fd, handle, OpenAt.O_RDONLY));
    }
}
