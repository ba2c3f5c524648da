using System.Runtime.InteropServices;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Check;

/// <summary>What /proc/PID/fdinfo tells of open files of several kinds, and what sets it again.</summary>
internal static class DescriptorFeatures
{
    private const int LOCK_SH = 1, EPOLL_CTL_ADD = 1, IN_MODIFY = 2, IN_ACCESS = 1, Count = 13, WatchNumber = 16;
    private const uint TFD_IOC_SET_TICKS = 0x40085400, INOTIFY_IOC_SETNEXTWD = 0x40044900;
    private const uint EPOLLIN = 1;
    private const ulong SomeSignals = 1 << 9;

    public static readonly Feature EventFd = Info("fdinfo_eventfd", "eventfds", "Linux 3.8", ProbeEventFd);

    public static readonly Feature Epoll = Info("fdinfo_epoll", "epoll instances", "Linux 3.8", ProbeEpoll);

    public static readonly Feature SignalFd = Info("fdinfo_signalfd", "signalfds", "Linux 3.8", ProbeSignalFd);

    public static readonly Feature Inotify = Info("fdinfo_inotify", "inotify instances", "Linux 3.8", ProbeInotify);

    public static readonly Feature MountId = new("mnt_id", FeatureCategory.Extra, ProbeMountId)
    {
        NeededFor = "which mount a file was opened on", Required = true, KnownToCriu = true, Since = "Linux 3.15",
    };

    public static readonly Feature Lock = new("fdinfo_lock", FeatureCategory.Extra, ProbeLock)
    {
        NeededFor = "knowing the file locks of a process", Required = true, KnownToCriu = true, Since = "Linux 4.1",
    };

    public static readonly Feature TimerFd = new("timerfd", FeatureCategory.Extra, ProbeTimerFd)
    {
        NeededFor = "timerfds that have expired", KnownToCriu = true, Since = "Linux 3.17 with CONFIG_CHECKPOINT_RESTORE",
    };

    public static readonly Feature NextWatch = new("inotify_setnextwd", FeatureCategory.Engine, ProbeNextWatch)
    {
        NeededFor = "inotify watches with their old numbers, without many tries", Since = "Linux 4.16 with CONFIG_CHECKPOINT_RESTORE",
    };

    private static Feature Info(string name, string what, string since, Func<ProbeBench, Answer> probe) =>
        new(name, FeatureCategory.Basic, probe) { NeededFor = what, Since = since + " with CONFIG_CHECKPOINT_RESTORE" };

    private static Answer ProbeEventFd(ProbeBench bench)
    {
        ProbeChild child = bench.Child;
        long fd = child.Must("eventfd2", SyscallNumber.eventfd2, Count, 0);
        return Answer.Of("the count of an eventfd", Read(child, fd).EventFd?.Count == Count);
    }

    private static Answer ProbeEpoll(ProbeBench bench)
    {
        ProbeChild child = bench.Child;
        (long epoll, int watched) = MakeEpoll(child);
        return Answer.Of("the descriptors of an epoll instance", Read(child, epoll).EpollTargets.Any(target => target.Fd == watched));
    }

    /// <summary>An epoll instance that watches one descriptor.</summary>
    public static (long Epoll, int Watched) MakeEpoll(ProbeChild child)
    {
        long epoll = child.Must("epoll_create1", SyscallNumber.epoll_create1, 0);
        long watched = child.Must("eventfd2", SyscallNumber.eventfd2, 0, 0);

        // struct epoll_event is packed: events, data.
        long wish = child.Put(MemoryMarshal.AsBytes<uint>([EPOLLIN, 1, 0]));
        child.Must("epoll_ctl", SyscallNumber.epoll_ctl, epoll, EPOLL_CTL_ADD, watched, wish);
        return (epoll, (int)watched);
    }

    private static Answer ProbeSignalFd(ProbeBench bench)
    {
        ProbeChild child = bench.Child;
        long fd = child.Must("signalfd4", SyscallNumber.signalfd4, -1, child.Put(SomeSignals), Ptrace.SignalSetSize, 0);
        return Answer.Of("the signals of a signalfd", Read(child, fd).SignalMask == SomeSignals);
    }

    private static Answer ProbeInotify(ProbeBench bench)
    {
        ProbeChild child = bench.Child;
        long fd = child.Must("inotify_init1", SyscallNumber.inotify_init1, 0);
        long watch = child.Must("inotify_add_watch", SyscallNumber.inotify_add_watch, fd, child.Put("/"), IN_MODIFY | IN_ACCESS);
        return Answer.Of("the watches of an inotify instance", Read(child, fd).InotifyWatches.Any(one => one.Watch == watch));
    }

    private static Answer ProbeMountId(ProbeBench bench)
    {
        ProbeChild child = bench.Child;
        long fd = Syscall.Check(child.Open("/", OpenAt.O_RDONLY), "open of /");
        int mount = Read(child, fd).MountId;
        return Answer.Of("mnt_id of /proc/PID/fdinfo", MountInfo.Read(child.Proc).Any(one => one.Id == mount));
    }

    private static Answer ProbeLock(ProbeBench bench)
    {
        ProbeChild child = bench.Child;
        long fd = child.Must("memfd_create", SyscallNumber.memfd_create, child.Put("probe"), 0);
        child.Must("flock", SyscallNumber.flock, fd, LOCK_SH);
        return Answer.Of("locks of /proc/PID/fdinfo", Read(child, fd).Locks.Count == 1);
    }

    private static Answer ProbeTimerFd(ProbeBench bench)
    {
        ProbeChild child = bench.Child;
        long fd = child.Must("timerfd_create", SyscallNumber.timerfd_create, Nap.CLOCK_MONOTONIC, 0);
        long result = child.Call(SyscallNumber.ioctl, fd, TFD_IOC_SET_TICKS, child.Put((ulong)Count));
        return Syscall.IsError(result)
            ? Answer.Of("ioctl(TFD_IOC_SET_TICKS)", result)
            : Answer.Of("ioctl(TFD_IOC_SET_TICKS)", Read(child, fd).TimerFd?.Ticks == Count);
    }

    private static Answer ProbeNextWatch(ProbeBench bench)
    {
        ProbeChild child = bench.Child;
        long fd = child.Must("inotify_init1", SyscallNumber.inotify_init1, 0);
        long result = child.Call(SyscallNumber.ioctl, fd, INOTIFY_IOC_SETNEXTWD, WatchNumber);
        if (Syscall.IsError(result))
        {
            return Answer.Of("ioctl(INOTIFY_IOC_SETNEXTWD)", result);
        }

        long watch = child.Must("inotify_add_watch", SyscallNumber.inotify_add_watch, fd, child.Put("/"), IN_MODIFY | IN_ACCESS);
        return Answer.Of("ioctl(INOTIFY_IOC_SETNEXTWD)", watch == WatchNumber);
    }

    private static FdInfo Read(ProbeChild child, long fd) => FdInfo.Read(child.Proc, (int)fd);
}
