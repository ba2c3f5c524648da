namespace CriuPS.Tests.Kernel;

/// <summary>
/// What <see cref="LayoutTests"/> has to know beyond the names themselves: the headers, and the documented exceptions from
/// "every name is spelled as in the kernel and is in Debian 12's headers (Linux 6.1, glibc 2.36)".
/// </summary>
internal static class KernelNames
{
    /// <summary>The headers, in an order in which the kernel's and the C library's get along.</summary>
    public static readonly string[] Headers =
    [
        "stddef.h", "errno.h", "limits.h", "fcntl.h", "poll.h", "sched.h", "signal.h", "time.h", "unistd.h", "asm/unistd.h", "asm/prctl.h",
        "sys/types.h", "sys/epoll.h", "sys/eventfd.h", "sys/file.h", "sys/inotify.h", "sys/ioctl.h", "sys/mman.h", "sys/ptrace.h",
        "sys/resource.h", "sys/signalfd.h", "sys/socket.h", "sys/stat.h", "sys/statfs.h", "sys/statvfs.h", "sys/swap.h", "sys/time.h",
        "sys/timerfd.h", "sys/times.h", "sys/uio.h", "sys/un.h", "sys/user.h", "sys/utsname.h", "sys/vfs.h", "sys/wait.h", "sys/xattr.h",
        "netinet/in.h", "netinet/tcp.h", "net/if.h", "termios.h", "linux/types.h", "linux/aio_abi.h", "linux/audit.h", "linux/auto_fs.h",
        "linux/auxvec.h", "linux/bpf.h", "linux/capability.h", "linux/close_range.h", "linux/elf.h", "linux/fanotify.h", "linux/filter.h",
        "linux/futex.h", "linux/fs.h", "linux/genetlink.h", "linux/if_link.h", "linux/if_tun.h", "linux/inet_diag.h", "linux/io_uring.h",
        "linux/ipc.h", "linux/kcmp.h", "linux/magic.h", "linux/memfd.h", "linux/mount.h", "linux/mqueue.h", "linux/neighbour.h",
        "linux/net_namespace.h", "linux/netfilter/nf_tables.h", "linux/netfilter/nfnetlink.h", "linux/netlink.h", "linux/netlink_diag.h",
        "linux/nsfs.h", "linux/openat2.h", "linux/packet_diag.h", "linux/personality.h", "linux/prctl.h", "linux/rseq.h",
        "linux/rtnetlink.h", "linux/sched.h", "linux/seccomp.h", "linux/securebits.h", "linux/sock_diag.h",
        "linux/sockios.h", "linux/unix_diag.h", "linux/userfaultfd.h",
    ];

    /// <summary>
    /// Names that the headers may lack: newer than 6.1, or known to the kernel's own sources only. Where a header does have one it is
    /// compared all the same; each is written down here a second time, with its source, so that no slip of the pen goes unseen.
    /// </summary>
    public static readonly Dictionary<string, (long Value, string Source)> Unlisted = new()
    {
        ["ERESTARTSYS"] = (512, "include/linux/errno.h"),
        ["ERESTARTNOINTR"] = (513, "include/linux/errno.h"),
        ["ERESTARTNOHAND"] = (514, "include/linux/errno.h"),
        ["ERESTART_RESTARTBLOCK"] = (516, "include/linux/errno.h"),
        ["__NR_cachestat"] = (451, "syscall_64.tbl of 6.5"),
        ["__NR_fchmodat2"] = (452, "syscall_64.tbl of 6.6"),
        ["__NR_map_shadow_stack"] = (453, "syscall_64.tbl of 6.6"),
        ["__NR_statmount"] = (457, "syscall_64.tbl of 6.8"),
        ["__NR_listmount"] = (458, "syscall_64.tbl of 6.8"),
        ["__NR_mseal"] = (462, "syscall_64.tbl of 6.10"),
    };

    /// <summary>C# names of structures that are not the kernel's, with the C type that they mirror and how a field is spelled there.</summary>
    public static readonly Dictionary<string, (string Type, Func<string, string> Field)> Renamed = [];

    /// <summary>
    /// What comes after the headers. These of the kernel define structures that the C library defines too, with the same content:
    /// they are read under other names.
    /// </summary>
    public const string Prelude = """
        #define f_owner_ex kernel_f_owner_ex
        #define flock kernel_flock
        #define flock64 kernel_flock64
        #define sched_param kernel_sched_param
        #include <linux/fcntl.h>
        #include <linux/pidfd.h>
        #include <linux/sched/types.h>
        #undef f_owner_ex
        #undef flock
        #undef flock64
        #undef sched_param
        """;
}
