using System.Text;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Check;

/// <summary>Namespaces (namespaces(7)): each kind is unshared by a child, and gone with it.</summary>
internal static class NamespaceFeatures
{
    public const ulong CLONE_NEWTIME = 0x80, CLONE_NEWNS = 0x20000, CLONE_NEWCGROUP = 0x2000000, CLONE_NEWUTS = 0x4000000;
    public const ulong CLONE_NEWIPC = 0x8000000, CLONE_NEWUSER = 0x10000000, CLONE_NEWPID = 0x20000000, CLONE_NEWNET = 0x40000000;

    private const int IPC_PRIVATE = 0, ChosenId = 5;

    public static readonly Feature User = new("userns", FeatureCategory.Extra, bench => Unshare(bench, "user", CLONE_NEWUSER))
    {
        NeededFor = "processes in user namespaces", KnownToCriu = true, Since = "Linux 3.8 with CONFIG_USER_NS",
    };

    public static readonly Feature Cgroup = Kind(
        "cgroupns", FeatureCategory.Extra, "cgroup", CLONE_NEWCGROUP, "Linux 4.6 with CONFIG_CGROUPS", toCriu: true);

    public static readonly Feature Mount = Kind("mntns", FeatureCategory.Engine, "mnt", CLONE_NEWNS, "Linux 3.8");

    public static readonly Feature Network = Kind("netns", FeatureCategory.Engine, "net", CLONE_NEWNET, "a kernel with CONFIG_NET_NS");

    public static readonly Feature Uts = Kind("utsns", FeatureCategory.Engine, "uts", CLONE_NEWUTS, "a kernel with CONFIG_UTS_NS");

    public static readonly Feature Ipc = Kind("ipcns", FeatureCategory.Engine, "ipc", CLONE_NEWIPC, "a kernel with CONFIG_IPC_NS");

    public static readonly Feature Pid = new("pidns", FeatureCategory.Engine, ProbePid)
    {
        NeededFor = "processes in pid namespaces", Since = "a kernel with CONFIG_PID_NS", Privilege = "CAP_SYS_ADMIN",
    };

    public static readonly Feature Time = new("timens", FeatureCategory.Extra, ProbeTime)
    {
        NeededFor = "clocks that go on where they were, after a reboot or on another machine", KnownToCriu = true,
        Since = "Linux 5.6 with CONFIG_TIME_NS", Privilege = "CAP_SYS_ADMIN and CAP_SYS_TIME",
    };

    public static readonly Feature ExternalNetwork = new("external_net_ns", FeatureCategory.Named, ProbeExternalNetwork)
    {
        NeededFor = "joining a network namespace that is there already", KnownToCriu = true, Since = "Linux 3.0 with CONFIG_NET_NS",
        Privilege = "CAP_SYS_ADMIN",
    };

    public static readonly Feature IpcNextId = new("ipc_next_id", FeatureCategory.Basic, ProbeIpcNextId)
    {
        NeededFor = "System V objects with their old ids", Since = "Linux 3.9 with CONFIG_CHECKPOINT_RESTORE",
        Privilege = "CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN",
    };

    private static Feature Kind(string name, FeatureCategory category, string link, ulong flag, string since, bool toCriu = false) =>
        new(name, category, bench => Unshare(bench, link, flag))
        {
            NeededFor = $"processes in {link} namespaces", Since = since, KnownToCriu = toCriu, Privilege = "CAP_SYS_ADMIN",
        };

    private static Answer Unshare(ProbeBench bench, string link, ulong flag)
    {
        ProbeChild child = bench.In(flag);
        using ProcDirectory own = new(Environment.ProcessId);
        return Answer.Of(
            $"unshare of the {link} namespace",
            child.Proc.ReadLinkText($"ns/{link}").ToDisplayString() != own.ReadLinkText($"ns/{link}").ToDisplayString());
    }

    private static Answer ProbePid(ProbeBench bench)
    {
        using ProbeChild? init = bench.Child.TryClone(CLONE_NEWPID, 0, out int errno);
        return init is null
            ? Answer.Of("clone3(CLONE_NEWPID)", -errno)
            : Answer.Of("clone3(CLONE_NEWPID)", init.Call(SyscallNumber.getpid) == 1);
    }

    // Offsets can be written until the first process is born into the namespace.
    private static Answer ProbeTime(ProbeBench bench)
    {
        using ProbeChild child = bench.Fresh();
        long unshared = child.Call(SyscallNumber.unshare, (long)CLONE_NEWTIME);
        if (Syscall.IsError(unshared))
        {
            return Answer.Of("unshare(CLONE_NEWTIME)", unshared);
        }

        long file = Syscall.Check(child.Open("/proc/self/timens_offsets", OpenAt.O_WRONLY), "open of /proc/self/timens_offsets");
        byte[] offset = Encoding.ASCII.GetBytes("monotonic 1000 0");
        return Answer.Of(
            "unshare(CLONE_NEWTIME), /proc/PID/timens_offsets", child.Call(SyscallNumber.write, file, child.Put(offset), offset.Length));
    }

    private static Answer ProbeExternalNetwork(ProbeBench bench)
    {
        ProbeChild child = bench.Child;
        long own = Syscall.Check(child.Open("/proc/self/ns/net", OpenAt.O_RDONLY), "open of /proc/self/ns/net");
        return Answer.Of("setns(CLONE_NEWNET)", child.Call(SyscallNumber.setns, own, (long)CLONE_NEWNET));
    }

    private static Answer ProbeIpcNextId(ProbeBench bench)
    {
        ProbeChild child = bench.In(CLONE_NEWIPC);
        long file = child.Open("/proc/sys/kernel/sem_next_id", OpenAt.O_WRONLY);
        if (Syscall.IsError(file))
        {
            return Answer.Of("open of /proc/sys/kernel/sem_next_id", file);
        }

        long written = child.Call(SyscallNumber.write, file, child.Put("5"u8), 1);
        return Syscall.IsError(written)
            ? Answer.Of("write to /proc/sys/kernel/sem_next_id", written)
            : Answer.Of("/proc/sys/kernel/sem_next_id", child.Call(SyscallNumber.semget, IPC_PRIVATE, 1, 0x180) == ChosenId);
    }
}
