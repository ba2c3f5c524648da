using System.Globalization;
using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Check;

/// <summary>
/// The privileges of this process (capabilities(7); Yama, Documentation/admin-guide/LSM/Yama.rst), and what each is needed for. Those
/// that are required are enough for a process of one's own that has nothing special.
/// </summary>
internal static class Privileges
{
    private const int CAP_CHOWN = 0, CAP_DAC_OVERRIDE = 1, CAP_DAC_READ_SEARCH = 2, CAP_FOWNER = 3, CAP_KILL = 5;
    private const int CAP_SETGID = 6, CAP_SETUID = 7, CAP_SETPCAP = 8, CAP_NET_BIND_SERVICE = 10, CAP_NET_ADMIN = 12, CAP_NET_RAW = 13;
    private const int CAP_IPC_LOCK = 14, CAP_IPC_OWNER = 15, CAP_SYS_CHROOT = 18, CAP_SYS_PTRACE = 19, CAP_SYS_ADMIN = 21;
    private const int CAP_SYS_NICE = 23, CAP_SYS_RESOURCE = 24, CAP_SYS_TIME = 25;
    private const int CAP_MKNOD = 27, CAP_LEASE = 28, CAP_AUDIT_CONTROL = 30, CAP_BPF = 39, CAP_CHECKPOINT_RESTORE = 40;
    private const int NoAttach = 3;

    public static IReadOnlyList<Feature> All { get; } =
    [
        Capability(nameof(CAP_CHECKPOINT_RESTORE), CAP_CHECKPOINT_RESTORE, "old pids, mapped files, executables", CAP_SYS_ADMIN)
            with { Required = true },
        Capability(nameof(CAP_SETGID), CAP_SETGID, "restoring group ids and supplementary groups") with { Required = true },
        Capability(nameof(CAP_SETPCAP), CAP_SETPCAP, "restoring bounding sets and securebits") with { Required = true },
        Capability(nameof(CAP_SYS_ADMIN), CAP_SYS_ADMIN, "namespaces, mounts, seccomp filters"),
        Capability(nameof(CAP_SYS_PTRACE), CAP_SYS_PTRACE, "processes of other users, and those that may not be traced"),
        Capability(nameof(CAP_SETUID), CAP_SETUID, "restoring the user ids of others"),
        Capability(nameof(CAP_KILL), CAP_KILL, "ending processes of other users after their dump"),
        Capability(nameof(CAP_DAC_OVERRIDE), CAP_DAC_OVERRIDE, "files of other users"),
        Capability(nameof(CAP_DAC_READ_SEARCH), CAP_DAC_READ_SEARCH, "opening files by handle"),
        Capability(nameof(CAP_CHOWN), CAP_CHOWN, "the owners of deleted files that are brought back"),
        Capability(nameof(CAP_FOWNER), CAP_FOWNER, "modes and times of files of other users"),
        Capability(nameof(CAP_SYS_CHROOT), CAP_SYS_CHROOT, "processes with another root directory"),
        Capability(nameof(CAP_SYS_RESOURCE), CAP_SYS_RESOURCE, "hard limits, pipes and other settings above what is allowed"),
        Capability(nameof(CAP_SYS_NICE), CAP_SYS_NICE, "real-time and raised priorities"),
        Capability(nameof(CAP_SYS_TIME), CAP_SYS_TIME, "clocks of time namespaces"),
        Capability(nameof(CAP_IPC_LOCK), CAP_IPC_LOCK, "locked memory above the limit"),
        Capability(nameof(CAP_IPC_OWNER), CAP_IPC_OWNER, "System V objects of other users"),
        Capability(nameof(CAP_NET_ADMIN), CAP_NET_ADMIN, "TCP connections, network devices, packet filters"),
        Capability(nameof(CAP_NET_RAW), CAP_NET_RAW, "raw and packet sockets"),
        Capability(nameof(CAP_NET_BIND_SERVICE), CAP_NET_BIND_SERVICE, "sockets on ports below 1024"),
        Capability(nameof(CAP_MKNOD), CAP_MKNOD, "device files"),
        Capability(nameof(CAP_LEASE), CAP_LEASE, "leases on files of other users"),
        Capability(nameof(CAP_AUDIT_CONTROL), CAP_AUDIT_CONTROL, "changing who logged in"),
        Capability(nameof(CAP_BPF), CAP_BPF, "BPF maps", CAP_SYS_ADMIN),
        new("yama_ptrace_scope", FeatureCategory.Privilege, ProbeYama)
        {
            NeededFor = "tracing processes that are not children of this one",
            Since = "a lower value in /proc/sys/kernel/yama/ptrace_scope",
        },
    ];

    /// <summary>A capability, and another one that includes it.</summary>
    private static Feature Capability(string name, int number, string neededFor, int? including = null) =>
        new(name, FeatureCategory.Privilege, _ => Ask(number, including))
        {
            NeededFor = neededFor, Since = $"a process with {name}: run it as root, or grant the capability to the program (setcap)",
        };

    private static Answer Ask(int number, int? including)
    {
        using ProcDirectory own = new(Environment.ProcessId);
        ProcStatus status = ProcStatus.Read(own);
        if (Has(status.EffectiveCapabilities, number))
        {
            return Answer.Yes("effective");
        }

        if (including is { } other && Has(status.EffectiveCapabilities, other))
        {
            return Answer.Yes("another capability that is effective includes it (CAP_SYS_ADMIN)");
        }

        if (Has(status.PermittedCapabilities, number))
        {
            return Answer.No("permitted, but not effective") with { Remedy = "let this process make it effective (capset)" };
        }

        return Has(status.BoundingCapabilities, number)
            ? Answer.No("not permitted")
            : Answer.No("not permitted, and beyond the bounding set") with { Remedy = "let the session or container be started with it" };
    }

    private static bool Has(ulong set, int number) => (set >> number & 1) == 1;

    private static Answer ProbeYama(ProbeBench bench)
    {
        const string Scope = "/proc/sys/kernel/yama/ptrace_scope";
        if (!File.Exists(Scope))
        {
            return Answer.Yes("Yama does not restrict tracing");
        }

        int scope = int.Parse(File.ReadAllText(Scope), CultureInfo.InvariantCulture);
        bool allowed = scope == 0 || (scope < NoAttach && Ask(CAP_SYS_PTRACE, null).Supported);
        return new Answer(allowed, $"{Scope} is {scope}{(scope == 0 ? "" : ", tracing needs CAP_SYS_PTRACE")}");
    }
}
