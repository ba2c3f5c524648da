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
        "sys/types.h", "sys/epoll.h", "sys/eventfd.h", "sys/file.h", "sys/inotify.h", "sys/ioctl.h", "sys/mman.h",
        "sys/resource.h", "sys/signalfd.h", "sys/socket.h", "sys/stat.h", "sys/statfs.h", "sys/statvfs.h", "sys/swap.h", "sys/time.h",
        "sys/timerfd.h", "sys/times.h", "sys/uio.h", "sys/un.h", "sys/user.h", "sys/utsname.h", "sys/vfs.h", "sys/wait.h", "sys/xattr.h",
        "netinet/in.h", "netinet/tcp.h", "net/if.h", "termios.h", "linux/types.h", "linux/aio_abi.h", "linux/audit.h", "linux/auto_fs.h",
        "linux/auxvec.h", "linux/bpf.h", "linux/capability.h", "linux/close_range.h", "linux/elf.h", "linux/fanotify.h", "linux/filter.h",
        "linux/futex.h", "linux/fs.h", "linux/genetlink.h", "linux/if_link.h", "linux/if_tun.h", "linux/inet_diag.h", "linux/io_uring.h",
        "linux/ipc.h", "linux/kcmp.h", "linux/keyctl.h", "linux/magic.h", "linux/membarrier.h", "linux/memfd.h", "linux/mount.h", "linux/mqueue.h",
        "linux/neighbour.h",
        "linux/net_namespace.h", "linux/netfilter.h", "linux/netfilter/nf_tables.h", "linux/netfilter/nfnetlink.h", "linux/netlink.h",
        "linux/netlink_diag.h",
        "linux/nsfs.h", "linux/openat2.h", "linux/packet_diag.h", "linux/personality.h", "linux/prctl.h", "linux/ptrace.h", "linux/rseq.h",
        "linux/rtnetlink.h", "linux/sched.h", "linux/seccomp.h", "linux/securebits.h", "linux/sock_diag.h",
        "linux/sockios.h", "linux/unix_diag.h", "linux/userfaultfd.h", "linux/veth.h",
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
        ["SCM_MAX_FD"] = (253, "include/net/scm.h"),
        ["MFD_EXEC"] = (0x10, "include/uapi/linux/memfd.h of 6.3"),
        ["MEMBARRIER_CMD_GET_REGISTRATIONS"] = (512, "include/uapi/linux/membarrier.h of 6.3"),
        ["MADV_GUARD_INSTALL"] = (102, "include/uapi/asm-generic/mman-common.h of 6.13"),
        ["PR_SET_MDWE"] = (65, "include/uapi/linux/prctl.h of 6.3"),
        ["PR_GET_MDWE"] = (66, "include/uapi/linux/prctl.h of 6.3"),
        ["PR_SET_MEMORY_MERGE"] = (67, "include/uapi/linux/prctl.h of 6.4"),
        ["PR_GET_MEMORY_MERGE"] = (68, "include/uapi/linux/prctl.h of 6.4"),
        ["PR_TIMER_CREATE_RESTORE_IDS"] = (77, "include/uapi/linux/prctl.h of 6.15"),
        ["PR_TIMER_CREATE_RESTORE_IDS_OFF"] = (0, "include/uapi/linux/prctl.h of 6.15"),
        ["PR_TIMER_CREATE_RESTORE_IDS_ON"] = (1, "include/uapi/linux/prctl.h of 6.15"),
        ["PR_TIMER_CREATE_RESTORE_IDS_GET"] = (2, "include/uapi/linux/prctl.h of 6.15"),
        ["UFFD_FEATURE_WP_UNPOPULATED"] = (1 << 13, "include/uapi/linux/userfaultfd.h of 6.4"),
        ["UFFD_FEATURE_POISON"] = (1 << 14, "include/uapi/linux/userfaultfd.h of 6.6"),
        ["UFFD_FEATURE_WP_ASYNC"] = (1 << 15, "include/uapi/linux/userfaultfd.h of 6.7"),
        ["IORING_SETUP_NO_MMAP"] = (1 << 14, "include/uapi/linux/io_uring.h of 6.5"),
        ["IORING_SETUP_NO_SQARRAY"] = (1 << 16, "include/uapi/linux/io_uring.h of 6.6"),
        ["IORING_TIMEOUT_MULTISHOT"] = (1 << 6, "include/uapi/linux/io_uring.h of 6.4"),
        ["FAN_PRE_ACCESS"] = (0x100000, "include/uapi/linux/fanotify.h of 6.14"),
        ["AIO_RING_MAGIC"] = (0xa10a10a1, "fs/aio.c"),
        ["SIOCUNIXFILE"] = (0x89e0, "include/uapi/linux/un.h, which does not get along with sys/un.h"),
        ["SO_PASSPIDFD"] = (76, "include/uapi/asm-generic/socket.h of 6.5"),
        ["SO_PASSRIGHTS"] = (83, "include/uapi/asm-generic/socket.h of 6.16"),
        ["TFD_IOC_SET_TICKS"] = (0x40085400, "include/uapi/linux/timerfd.h, which does not get along with fcntl.h"),
        ["INOTIFY_IOC_SETNEXTWD"] = (0x40044900, "include/uapi/linux/inotify.h, which does not get along with sys/inotify.h"),
        ["IPT_SO_GET_INFO"] = (64, "include/uapi/linux/netfilter_ipv4/ip_tables.h"),
        ["MAP_DROPPABLE"] = (8, "include/uapi/linux/mman.h of 6.11"),
        ["__NR_cachestat"] = (451, "syscall_64.tbl of 6.5"),
        ["__NR_fchmodat2"] = (452, "syscall_64.tbl of 6.6"),
        ["__NR_map_shadow_stack"] = (453, "syscall_64.tbl of 6.6"),
        ["__NR_statmount"] = (457, "syscall_64.tbl of 6.8"),
        ["__NR_listmount"] = (458, "syscall_64.tbl of 6.8"),
        ["__NR_mseal"] = (462, "syscall_64.tbl of 6.10"),
    };

    /// <summary>C# names of structures that are not the kernel's, with the C type that they mirror and how a field is spelled there.</summary>
    public static readonly Dictionary<string, (string Type, Func<string, string> Field)> Renamed = new()
    {
        ["StackT"] = ("stack_t", name => name),
        ["stat"] = ("struct stat", StatField),
        ["sigevent"] = ("struct sigevent", name => name == "sigev_notify_thread_id" ? "_sigev_un._tid" : name),
        ["user_desc"] = ("struct flat_user_desc", name => name),
        ["KernelSigAction"] = ("struct ksigaction", name => "k" + name[2..]),
        ["termios"] = ("struct kernel_termios", name => name),
        ["UserRegs"] = ("struct user_regs_struct", UserRegister),
        ["PageRegionRecord"] = ("struct page_region", name => name),
        ["PagemapScanArgument"] = ("struct pm_scan_arg", name => name),
    };

    /// <summary>
    /// What comes after the headers. Those of the kernel that define structures which the C library defines too, with the same content,
    /// are read under other names; what is newer than the headers of Debian 12 is written down a second time.
    /// </summary>
    public const string Prelude = """
        #define f_owner_ex kernel_f_owner_ex
        #define flock kernel_flock
        #define flock64 kernel_flock64
        #define sched_param kernel_sched_param
        #define ucontext kernel_ucontext
        #include <asm/ucontext.h>
        #include <linux/fcntl.h>
        #include <linux/pidfd.h>
        #include <linux/sched/types.h>
        #undef f_owner_ex
        #undef flock
        #undef flock64
        #undef sched_param
        #undef ucontext
        struct kernel_termios // include/uapi/asm-generic/termbits.h; the C library has another structure of that name
        {
            unsigned c_iflag, c_oflag, c_cflag, c_lflag;
            unsigned char c_line, c_cc[19];
        };
        #include <asm/ldt.h>
        struct flat_user_desc { unsigned entry_number, base_addr, limit, flags; }; // the flags are bit fields there
        _Static_assert(sizeof(struct flat_user_desc) == sizeof(struct user_desc) && offsetof(struct user_desc, limit) == 8, "user_desc");
        struct ksigaction { unsigned long k_handler, k_flags, k_restorer, k_mask; }; // arch/x86/include/uapi/asm/signal.h; sa_handler is a macro
        struct prog_load_attr // in union bpf_attr it has no name
        {
            __u32 prog_type, insn_cnt; __u64 insns, license; __u32 log_level, log_size; __u64 log_buf; __u32 kern_version, prog_flags;
            __u64 prog_name_low, prog_name_high; __u32 prog_ifindex, expected_attach_type, prog_btf_fd, func_info_rec_size; __u64 func_info;
            __u32 func_info_cnt, line_info_rec_size; __u64 line_info; __u32 line_info_cnt, attach_btf_id;
        };
        _Static_assert(offsetof(struct prog_load_attr, expected_attach_type) == offsetof(union bpf_attr, expected_attach_type), "bpf_attr");
        _Static_assert(offsetof(struct prog_load_attr, attach_btf_id) == offsetof(union bpf_attr, attach_btf_id), "bpf_attr");
        struct link_create_attr { __u32 prog_fd, target_fd, attach_type, flags; __u64 iter_info, iter_info_len; };
        _Static_assert(offsetof(struct link_create_attr, flags) == offsetof(union bpf_attr, link_create.flags) - offsetof(union bpf_attr, link_create), "bpf_attr");
        struct aio_ring { unsigned id, nr, head, tail, magic, compat_features, incompat_features, header_length; }; // fs/aio.c
        struct BirthArguments { long descriptor; void *path, *arguments, *environment; }; // ours: src/CriuPS.Assembler/BirthX64.cs
        #ifndef PAGEMAP_SCAN // Linux 6.7, Documentation/admin-guide/mm/pagemap.rst
        struct page_region { __u64 start, end, categories; };
        struct pm_scan_arg
        {
            __u64 size, flags, start, end, walk_end, vec, vec_len, max_pages;
            __u64 category_inverted, category_mask, category_anyof_mask, return_mask;
        };
        #define PAGEMAP_SCAN _IOWR('f', 16, struct pm_scan_arg)
        enum { PM_SCAN_WP_MATCHING = 1, PM_SCAN_CHECK_WPASYNC = 2 };
        enum
        {
            PAGE_IS_WPALLOWED = 1, PAGE_IS_WRITTEN = 2, PAGE_IS_FILE = 4, PAGE_IS_PRESENT = 8, PAGE_IS_SWAPPED = 16,
            PAGE_IS_PFNZERO = 32, PAGE_IS_HUGE = 64, PAGE_IS_SOFT_DIRTY = 128, PAGE_IS_GUARD = 256,
        };
        #endif
        """;

    // The C library keeps times as a structure, and calls what is unused otherwise.
    private static string StatField(string name) => name switch
    {
        "st_atime_nsec" => "st_atim.tv_nsec",
        "st_mtime_nsec" => "st_mtim.tv_nsec",
        "st_ctime_nsec" => "st_ctim.tv_nsec",
        "__unused0" => "__glibc_reserved[0]",
        "__unused1" => "__glibc_reserved[1]",
        "__unused2" => "__glibc_reserved[2]",
        _ => name,
    };

    // The kernel's own name of a register is shorter than the one in sys/user.h.
    private static string UserRegister(string name) => name switch
    {
        "flags" => "eflags",
        "orig_ax" => "orig_rax",
        "ax" or "bx" or "cx" or "dx" or "si" or "di" or "bp" or "sp" or "ip" => "r" + name,
        _ => name,
    };
}
