using CriuPS.Engine.Images.Schema;
using Google.Protobuf;

namespace CriuPS.Engine.Images;

/// <summary>The table of all kinds of image files. Facts: criu/image-desc.c and criu/include/magic.h of CRIU 4.2.</summary>
public sealed partial class ImageType
{
    // The checkpoint as a whole.

    /// <summary>Facts about the whole checkpoint; written last.</summary>
    public static ImageType Inventory { get; } =
        Framed<InventoryEntry>("INVENTORY", "inventory.img", 0x58313116, container: ImageContainer.Inventory, single: true);

    /// <summary>The processes, parents before children.</summary>
    public static ImageType PsTree { get; } = Framed<PstreeEntry>("PSTREE", "pstree.img", 0x50273030);

    /// <summary>Numbers of a dump; in the working directory.</summary>
    public static ImageType StatsDump { get; } =
        Framed<StatsEntry>("STATS", "stats-dump", 0x57093306, container: ImageContainer.Service, single: true);

    /// <summary>Numbers of a restore; in the working directory.</summary>
    public static ImageType StatsRestore { get; } =
        Framed<StatsEntry>("STATS", "stats-restore", 0x57093306, container: ImageContainer.Service, single: true);

    /// <summary>What the processor could do.</summary>
    public static ImageType CpuInfo { get; } = Framed<CpuinfoEntry>("CPUINFO", "cpuinfo.img", 0x61404013, single: true);

    /// <summary>Control groups of the tree.</summary>
    public static ImageType Cgroup { get; } = Framed<CgroupEntry>("CGROUP", "cgroup.img", 0x59383330, single: true);

    /// <summary>Filters of system calls.</summary>
    public static ImageType Seccomp { get; } = Framed<SeccompEntry>("SECCOMP", "seccomp.img", 0x64413049, single: true);

    /// <summary>AppArmor policies.</summary>
    public static ImageType AppArmor { get; } = Framed<ApparmorEntry>("APPARMOR", "apparmor.img", 0x59423047, single: true);

    // One for each task or process.

    /// <summary>State of one task; the id is its tid.</summary>
    public static ImageType Core { get; } = Framed<CoreEntry>("CORE", "core-%u.img", 0x55053847, single: true);

    /// <summary>Which kernel objects a process uses; the id is its pid.</summary>
    public static ImageType Ids { get; } = Framed<TaskKobjIdsEntry>("IDS", "ids-%u.img", 0x54432030, single: true);

    /// <summary>Address space with its mappings; the id is the pid.</summary>
    public static ImageType Mm { get; } = Framed<MmEntry>("MM", "mm-%u.img", 0x57492820, single: true);

    /// <summary>Working directory, root and umask; the id is the pid.</summary>
    public static ImageType Fs { get; } = Framed<FsEntry>("FS", "fs-%u.img", 0x51403912, single: true);

    /// <summary>Which pages of a process are in which place; the id is the pid.</summary>
    public static ImageType PageMap { get; } =
        Framed<PagemapHead>("PAGEMAP", "pagemap-%u.img", 0x56084025, following: new EntryType<PagemapEntry>());

    /// <summary>What CRIU's images cannot say of a process; the id is the pid. No tool of CRIU takes a name without .img for an image.</summary>
    public static ImageType CriupsProcess { get; } =
        Framed<CriupsProcessEntry>("CRIUPS_PROCESS", "criups-process-%u", 0x43525001, single: true);

    // Memory that is shared, and the bytes of all pages.

    /// <summary>Which pages of a shared object are in which place; the id is that of the object.</summary>
    public static ImageType ShmemPageMap { get; } =
        Framed<PagemapHead>("PAGEMAP", "pagemap-shmem-%u.img", 0x56084025, following: new EntryType<PagemapEntry>());

    /// <summary>Pages, back to back; the id is <c>pages_id</c> of the page map.</summary>
    public static ImageType Pages { get; } = RawFile("PAGES", "pages-%u.img");

    /// <summary>Memory files.</summary>
    public static ImageType MemFdInode { get; } = Framed<MemfdInodeEntry>("MEMFD_INODE", "memfd.img", 0x48453499);

    // Open files.

    /// <summary>A table of descriptors; the id is <c>files_id</c> of the processes that use it.</summary>
    public static ImageType FdInfo { get; } = Framed<FdinfoEntry>("FDINFO", "fdinfo-%u.img", 0x56213732);

    /// <summary>All open files.</summary>
    public static ImageType Files { get; } = Framed<FileEntry>("FILES", "files.img", 0x56303138);

    /// <summary>Where to find files that have lost their name.</summary>
    public static ImageType RemapFilePath { get; } = Framed<RemapFilePathEntry>("REMAP_FPATH", "remap-fpath.img", 0x59133954);

    /// <summary>A deleted file with its content; the id is <c>remap_id</c>.</summary>
    public static ImageType GhostFile { get; } =
        Framed<GhostFileEntry>("GHOST_FILE", "ghost-file-%x.img", 0x52583605,
            following: new EntryType<GhostChunkEntry>(), payload: ImagePayload.GhostContent);

    /// <summary>File locks.</summary>
    public static ImageType FileLocks { get; } = Framed<FileLockEntry>("FILE_LOCKS", "filelocks.img", 0x54323616);

    /// <summary>Contents of pipes.</summary>
    public static ImageType PipesData { get; } =
        Framed<PipeDataEntry>("PIPES_DATA", "pipes-data.img", 0x56453709, payload: ImagePayload.PipeData);

    /// <summary>The packets of pipes.</summary>
    public static ImageType CriupsPipes { get; } = Framed<CriupsPipeEntry>("CRIUPS_PIPES", "criups-pipes", 0x43525002);

    /// <summary>Files of kinds that CRIU does not know.</summary>
    public static ImageType CriupsFiles { get; } = Framed<CriupsFileEntry>("CRIUPS_FILES", "criups-files", 0x43525004);

    /// <summary>Copies of files that have their names.</summary>
    public static ImageType CriupsContents { get; } = Framed<CriupsContentEntry>("CRIUPS_CONTENTS", "criups-contents", 0x43525005);

    /// <summary>What watches of the file system have beyond CRIU's entries.</summary>
    public static ImageType CriupsNotify { get; } = Framed<CriupsNotifyEntry>("CRIUPS_NOTIFY", "criups-notify", 0x43525003);

    /// <summary>Contents of named pipes.</summary>
    public static ImageType FifoData { get; } =
        Framed<PipeDataEntry>("FIFO_DATA", "fifo-data.img", 0x59333054, payload: ImagePayload.PipeData);

    /// <summary>Packets in the queues of unix sockets.</summary>
    public static ImageType SocketQueues { get; } =
        Framed<SkPacketEntry>("SK_QUEUES", "sk-queues.img", 0x56264026, payload: ImagePayload.Packet);

    /// <summary>What CRIU's images cannot say of unix sockets.</summary>
    public static ImageType CriupsSockets { get; } = Framed<CriupsSocketEntry>("CRIUPS_SOCKETS", "criups-sockets", 0x43525006);

    /// <summary>A TCP connection with its queues; the id is the socket's inode.</summary>
    public static ImageType TcpStream { get; } =
        Framed<TcpStreamEntry>("TCP_STREAM", "tcp-stream-%x.img", 0x51465506, payload: ImagePayload.TcpQueues, single: true);

    /// <summary>Terminals.</summary>
    public static ImageType TtyInfo { get; } = Framed<TtyInfoEntry>("TTY_INFO", "tty-info.img", 0x59453036);

    /// <summary>Unread input of terminals.</summary>
    public static ImageType TtyData { get; } = Framed<TtyDataEntry>("TTY_DATA", "tty-data.img", 0x59413026);

    /// <summary>Contents of BPF maps.</summary>
    public static ImageType BpfMapData { get; } =
        Framed<BpfmapDataEntry>("BPFMAP_DATA", "bpfmap-data.img", 0x64324033, payload: ImagePayload.BpfMap);

    /// <summary>Paths of inodes found so far; in the working directory.</summary>
    public static ImageType IrmapCache { get; } =
        Framed<IrmapCacheEntry>("IRMAP_CACHE", "irmap-cache", 0x57004059, container: ImageContainer.Service);

    // Namespaces and mounts.

    /// <summary>Host name of a namespace.</summary>
    public static ImageType UtsNs { get; } = Framed<UtsnsEntry>("UTSNS", "utsns-%u.img", 0x54473203, single: true);

    /// <summary>Sysctls of an IPC namespace.</summary>
    public static ImageType IpcNsVar { get; } = Framed<IpcVarEntry>("IPC_VAR", "ipcns-var-%u.img", 0x53115007, single: true);

    /// <summary>System V shared memory of a namespace.</summary>
    public static ImageType IpcNsShm { get; } =
        Framed<IpcShmEntry>("IPCNS_SHM", "ipcns-shm-%u.img", 0x46283044, payload: ImagePayload.SharedMemory);

    /// <summary>System V message queues of a namespace.</summary>
    public static ImageType IpcNsMsg { get; } =
        Framed<IpcMsgEntry>("IPCNS_MSG", "ipcns-msg-%u.img", 0x55453737, payload: ImagePayload.IpcMessages);

    /// <summary>System V semaphores of a namespace.</summary>
    public static ImageType IpcNsSem { get; } =
        Framed<IpcSemEntry>("IPCNS_SEM", "ipcns-sem-%u.img", 0x59573019, payload: ImagePayload.Semaphores);

    /// <summary>Mounts of a namespace.</summary>
    public static ImageType MountPoints { get; } = Framed<MntEntry>("MNTS", "mountpoints-%u.img", 0x55563928);

    /// <summary>Network devices of a namespace.</summary>
    public static ImageType NetDev { get; } = Framed<NetDeviceEntry>("NETDEV", "netdev-%u.img", 0x57373951);

    /// <summary>Settings of a network namespace.</summary>
    public static ImageType NetNs { get; } = Framed<NetnsEntry>("NETNS", "netns-%u.img", 0x55933752, single: true);

    /// <summary>Addresses, as <c>ip addr save</c> writes them.</summary>
    public static ImageType IfAddr { get; } = RawFile("IFADDR", "ifaddr-%u.img");

    /// <summary>IPv4 routes, as <c>ip route save</c> writes them.</summary>
    public static ImageType Route { get; } = RawFile("ROUTE", "route-%u.img");

    /// <summary>IPv6 routes, as <c>ip -6 route save</c> writes them.</summary>
    public static ImageType Route6 { get; } = RawFile("ROUTE6", "route6-%u.img");

    /// <summary>Routing rules, as <c>ip rule save</c> writes them.</summary>
    public static ImageType Rule { get; } = RawFile("RULE", "rule-%u.img");

    /// <summary>IPv4 filters, as <c>iptables-save</c> writes them.</summary>
    public static ImageType IpTables { get; } = RawFile("IPTABLES", "iptables-%u.img");

    /// <summary>IPv6 filters, as <c>ip6tables-save</c> writes them.</summary>
    public static ImageType Ip6Tables { get; } = RawFile("IP6TABLES", "ip6tables-%u.img");

    /// <summary>Filters, as <c>nft list ruleset</c> writes them.</summary>
    public static ImageType NfTables { get; } = RawFile("NFTABLES", "nftables-%u.img");

    /// <summary>Content of a tmpfs, named by its device.</summary>
    public static ImageType TmpfsByDevice { get; } = RawFile("TMPFS_DEV", "tmpfs-dev-%u.tar.gz.img");

    /// <summary>State of an autofs mount, named by its device.</summary>
    public static ImageType Autofs { get; } = Framed<AutofsEntry>("AUTOFS", "autofs-%u.img", 0x49353943, single: true);

    /// <summary>Handlers of foreign binaries.</summary>
    public static ImageType BinfmtMisc { get; } = Framed<BinfmtMiscEntry>("BINFMT_MISC", "binfmt-misc.img", 0x67343323);

    /// <summary>Ids of a user namespace.</summary>
    public static ImageType UserNs { get; } = Framed<UsernsEntry>("USERNS", "userns-%u.img", 0x55474906, single: true);

    /// <summary>Tracked connections, as netlink messages.</summary>
    public static ImageType NetNsConntrack { get; } = RawFile("NETNF_CT", "netns-ct-%u.img");

    /// <summary>Expected connections, as netlink messages.</summary>
    public static ImageType NetNsExpectations { get; } = RawFile("NETNF_EXP", "netns-exp-%u.img");

    /// <summary>Clock offsets of a time namespace.</summary>
    public static ImageType TimeNs { get; } = Framed<TimensEntry>("TIMENS", "timens-%u.img", 0x43114433, single: true);

    /// <summary>A pid namespace that is supplied from outside.</summary>
    public static ImageType PidNs { get; } = Framed<PidnsEntry>("PIDNS", "pidns-%u.img", 0x61157326, single: true);

    // Kept elsewhere today: timers, limits, signals and credentials in the core, mappings in the address space, files in one file for all kinds.

    /// <summary>Open regular files.</summary>
    public static ImageType RegFiles { get; } = Framed<RegFileEntry>("REG_FILES", "reg-files.img", 0x50363636, legacy: true);

    /// <summary>Open files that plugins look after.</summary>
    public static ImageType ExtFiles { get; } = Framed<ExtFileEntry>("EXT_FILES", "ext-files.img", 0x59255641, legacy: true);

    /// <summary>Open namespaces.</summary>
    public static ImageType NsFiles { get; } = Framed<NsFileEntry>("NS_FILES", "ns-files.img", 0x61394011, legacy: true);

    /// <summary>Open eventfds.</summary>
    public static ImageType EventFdFiles { get; } =
        Framed<EventfdFileEntry>("EVENTFD_FILE", "eventfd.img", 0x44523722, legacy: true);

    /// <summary>Open epoll sets.</summary>
    public static ImageType EventPollFiles { get; } =
        Framed<EventpollFileEntry>("EVENTPOLL_FILE", "eventpoll.img", 0x45023858, legacy: true);

    /// <summary>What epoll sets watch.</summary>
    public static ImageType EventPollTargets { get; } =
        Framed<EventpollTfdEntry>("EVENTPOLL_TFD", "eventpoll-tfd.img", 0x44433746, legacy: true);

    /// <summary>Open signalfds.</summary>
    public static ImageType SignalFdFiles { get; } = Framed<SignalfdEntry>("SIGNALFD", "signalfd.img", 0x57323820, legacy: true);

    /// <summary>Open inotify files.</summary>
    public static ImageType InotifyFiles { get; } =
        Framed<InotifyFileEntry>("INOTIFY_FILE", "inotify.img", 0x48424431, legacy: true);

    /// <summary>Watches of inotify files.</summary>
    public static ImageType InotifyWatches { get; } =
        Framed<InotifyWdEntry>("INOTIFY_WD", "inotify-wd.img", 0x54562009, legacy: true);

    /// <summary>Open fanotify files.</summary>
    public static ImageType FanotifyFiles { get; } =
        Framed<FanotifyFileEntry>("FANOTIFY_FILE", "fanotify.img", 0x55096122, legacy: true);

    /// <summary>Marks of fanotify files.</summary>
    public static ImageType FanotifyMarks { get; } =
        Framed<FanotifyMarkEntry>("FANOTIFY_MARK", "fanotify-mark.img", 0x56506035, legacy: true);

    /// <summary>Mappings of a process.</summary>
    public static ImageType Vmas { get; } = Framed<VmaEntry>("VMAS", "vmas-%u.img", 0x54123737, legacy: true);

    /// <summary>Open pipes.</summary>
    public static ImageType Pipes { get; } = Framed<PipeEntry>("PIPES", "pipes.img", 0x56513555, legacy: true);

    /// <summary>Open named pipes.</summary>
    public static ImageType Fifo { get; } = Framed<FifoEntry>("FIFO", "fifo.img", 0x58364939, legacy: true);

    /// <summary>Signal handlers of a process.</summary>
    public static ImageType SigActions { get; } = Framed<SaEntry>("SIGACT", "sigacts-%u.img", 0x55344201, legacy: true);

    /// <summary>Open unix sockets.</summary>
    public static ImageType UnixSockets { get; } = Framed<UnixSkEntry>("UNIXSK", "unixsk.img", 0x54373943, legacy: true);

    /// <summary>Open IP sockets.</summary>
    public static ImageType InetSockets { get; } = Framed<InetSkEntry>("INETSK", "inetsk.img", 0x56443851, legacy: true);

    /// <summary>Open packet sockets.</summary>
    public static ImageType PacketSockets { get; } =
        Framed<PacketSockEntry>("PACKETSK", "packetsk.img", 0x60454618, legacy: true);

    /// <summary>Open netlink sockets.</summary>
    public static ImageType NetlinkSockets { get; } =
        Framed<NetlinkSkEntry>("NETLINK_SK", "netlinksk.img", 0x58005614, legacy: true);

    /// <summary>Interval timers of a process: real, virtual, profiling.</summary>
    public static ImageType IntervalTimers { get; } = Framed<ItimerEntry>("ITIMERS", "itimers-%u.img", 0x57464056, legacy: true);

    /// <summary>POSIX timers of a process.</summary>
    public static ImageType PosixTimers { get; } =
        Framed<PosixTimerEntry>("POSIX_TIMERS", "posix-timers-%u.img", 0x52603957, legacy: true);

    /// <summary>Credentials of a task.</summary>
    public static ImageType Creds { get; } = Framed<CredsEntry>("CREDS", "creds-%u.img", 0x54023547, single: true, legacy: true);

    /// <summary>Content of a tmpfs, named by its mount.</summary>
    public static ImageType TmpfsByMount { get; } = RawFile("TMPFS_IMG", "tmpfs-%u.tar.gz.img", legacy: true);

    /// <summary>Handlers of foreign binaries, named by the device of their mount.</summary>
    public static ImageType BinfmtMiscByDevice { get; } =
        Framed<BinfmtMiscEntry>("BINFMT_MISC", "binfmt-misc-%u.img", 0x67343323, legacy: true);

    /// <summary>Open terminals.</summary>
    public static ImageType TtyFiles { get; } = Framed<TtyFileEntry>("TTY_FILES", "tty.img", 0x59433025, legacy: true);

    /// <summary>Resource limits of a process.</summary>
    public static ImageType RLimits { get; } = Framed<RlimitEntry>("RLIMIT", "rlimit-%u.img", 0x57113925, legacy: true);

    /// <summary>Pages of a shared object in the very first format.</summary>
    public static ImageType OldShmemPages { get; } = RawFile("SHM_PAGES_OLD", "pages-shmem-%u.img", legacy: true);

    /// <summary>Pending signals of a process.</summary>
    public static ImageType SharedSignals { get; } = Framed<SiginfoEntry>("SIGNAL", "signal-s-%u.img", 0x59255647, legacy: true);

    /// <summary>Pending signals of a task.</summary>
    public static ImageType PrivateSignals { get; } =
        Framed<SiginfoEntry>("SIGNAL", "signal-p-%u.img", 0x59255647, legacy: true);

    /// <summary>Open tun devices.</summary>
    public static ImageType TunFiles { get; } = Framed<TunfileEntry>("TUNFILE", "tunfile.img", 0x57143751, legacy: true);

    /// <summary>Open timerfds.</summary>
    public static ImageType TimerFdFiles { get; } = Framed<TimerfdEntry>("TIMERFD", "timerfd.img", 0x50493712, legacy: true);

    /// <summary>Open BPF maps.</summary>
    public static ImageType BpfMapFiles { get; } =
        Framed<BpfmapFileEntry>("BPFMAP_FILE", "bpfmap-file.img", 0x57506142, legacy: true);

    /// <summary>Open pidfds.</summary>
    public static ImageType PidFdFiles { get; } = Framed<PidfdEntry>("PIDFD", "pidfd.img", 0x54435556, legacy: true);

    /// <summary>All kinds, those of present versions before those that are only read.</summary>
    public static IReadOnlyList<ImageType> All { get; } =
    [
        Inventory, PsTree, StatsDump, StatsRestore, CpuInfo, Cgroup, Seccomp, AppArmor, Core, Ids, Mm, Fs, CriupsProcess, PageMap, ShmemPageMap, Pages,
        MemFdInode, FdInfo, Files, RemapFilePath, GhostFile, FileLocks, PipesData, CriupsPipes, CriupsNotify, CriupsFiles, CriupsContents, FifoData, SocketQueues, CriupsSockets, TcpStream, TtyInfo, TtyData,
        BpfMapData, IrmapCache, UtsNs, IpcNsVar, IpcNsShm, IpcNsMsg, IpcNsSem, MountPoints, NetDev, NetNs, IfAddr, Route, Route6, Rule,
        IpTables, Ip6Tables, NfTables, TmpfsByDevice, Autofs, BinfmtMisc, UserNs, NetNsConntrack, NetNsExpectations, TimeNs, PidNs,
        RegFiles, ExtFiles, NsFiles, EventFdFiles, EventPollFiles, EventPollTargets, SignalFdFiles, InotifyFiles, InotifyWatches,
        FanotifyFiles, FanotifyMarks, Vmas, Pipes, Fifo, SigActions, UnixSockets, InetSockets, PacketSockets, NetlinkSockets,
        IntervalTimers, PosixTimers, Creds, TmpfsByMount, BinfmtMiscByDevice, TtyFiles, RLimits, OldShmemPages, SharedSignals,
        PrivateSignals, TunFiles, TimerFdFiles, BpfMapFiles, PidFdFiles,
    ];

    private static readonly Dictionary<ImageType, int> s_order = All.Index().ToDictionary(pair => pair.Item, pair => pair.Index);

    private static ImageType Framed<T>(
        string name,
        string pattern,
        uint magic,
        ImageContainer container = ImageContainer.Common,
        EntryType? following = null,
        ImagePayload payload = ImagePayload.None,
        bool single = false,
        bool legacy = false)
        where T : class, IMessage<T>, IRequiredFields, IWireMessage, new() =>
        new(name, pattern, container, magic, new EntryType<T>())
        {
            FollowingEntry = following,
            Payload = payload,
            IsSingle = single,
            IsLegacy = legacy,
        };

    private static ImageType RawFile(string name, string pattern, bool legacy = false) =>
        new(name, pattern, ImageContainer.Raw, 0, null) { IsLegacy = legacy };
}
