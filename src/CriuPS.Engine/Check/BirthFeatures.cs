using System.Globalization;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Check;

/// <summary>Making processes, with the numbers that they had (clone3(2), /proc/sys/kernel/ns_last_pid).</summary>
internal static class BirthFeatures
{
    private const int Attempts = 50;

    public static readonly Feature Newborn = new("clone3", FeatureCategory.Engine, ProbeNewborn)
    {
        NeededFor = "giving birth to a process out of this one", Required = true, Since = "Linux 5.5",
    };

    public static readonly Feature SetTid = new("clone3_set_tid", FeatureCategory.Extra, ProbeSetTid)
    {
        NeededFor = "a process that comes back with its old pid", Required = true, KnownToCriu = true, Since = "Linux 5.5",
        Privilege = "CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN",
    };

    public static readonly Feature LastPid = new("ns_last_pid", FeatureCategory.Basic, ProbeLastPid)
    {
        NeededFor = "choosing a pid where clone3 cannot", Since = "Linux 3.3 with CONFIG_CHECKPOINT_RESTORE",
        Privilege = "CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN",
    };

    public static readonly Feature ParentAndPidNamespace = new("clone_parent_newpid", FeatureCategory.Extra, ProbeParentAndPidNamespace)
    {
        NeededFor = "restoring the init of a pid namespace as a sibling", Since = "Linux 3.13", Privilege = "CAP_SYS_ADMIN",
    };

    private static Answer ProbeNewborn(ProbeBench bench)
    {
        using ProbeChild child = bench.Fresh();
        return Answer.Of(
            "clone3(CLONE_VM | CLONE_VFORK | CLONE_CLEAR_SIGHAND), execveat of a memfd", child.Call(SyscallNumber.getpid) == child.Pid);
    }

    // A number that is free: from the end of the range, where the kernel comes last. Choosing one does not move the kernel's counter.
    private static Answer ProbeSetTid(ProbeBench bench)
    {
        ProbeChild child = bench.Child;
        int limit = int.Parse(File.ReadAllText("/proc/sys/kernel/pid_max"), CultureInfo.InvariantCulture);
        int errno = 0;
        for (int pid = limit - 1; pid >= limit - Attempts; pid--)
        {
            using ProbeChild? chosen = child.TryClone(0, pid, out errno);
            if (chosen is not null || errno != Errno.EEXIST)
            {
                return chosen is null ? Answer.Of("clone3(set_tid)", -errno) : Answer.Of("clone3(set_tid)", chosen.Pid == pid);
            }
        }

        return Answer.Of("clone3(set_tid)", -errno);
    }

    // The init of a new pid namespace sets its own counter, which ends with it.
    private static Answer ProbeLastPid(ProbeBench bench)
    {
        ProbeChild child = bench.Child;
        using ProbeChild? init = child.TryClone(NamespaceFeatures.CLONE_NEWPID, 0, out _);
        ProbeChild writer = init ?? child;
        long fd = writer.Open("/proc/sys/kernel/ns_last_pid", OpenAt.O_RDWR);
        if (Syscall.IsError(fd) || init is null)
        {
            return Answer.Of("opening /proc/sys/kernel/ns_last_pid for writing", fd);
        }

        long result = writer.Call(SyscallNumber.write, fd, writer.Put("77"u8), 2);
        if (Syscall.IsError(result))
        {
            return Answer.Of("write to /proc/sys/kernel/ns_last_pid", result);
        }

        long text = writer.Room(16);
        long length = writer.Call(SyscallNumber.pread64, fd, text, 16, 0);
        return Answer.Of("write to /proc/sys/kernel/ns_last_pid", length == 3 && writer.Read(text, 2).AsSpan().SequenceEqual("77"u8));
    }

    private static Answer ProbeParentAndPidNamespace(ProbeBench bench)
    {
        using ProbeChild? init = bench.Child.TryClone(NamespaceFeatures.CLONE_NEWPID, 0, out int errno);
        return Answer.Of("clone3(CLONE_PARENT | CLONE_NEWPID)", -errno);
    }
}
