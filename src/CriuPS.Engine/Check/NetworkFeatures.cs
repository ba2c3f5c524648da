using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Check;

/// <summary>Lists of sockets, links and network namespaces (sock_diag(7), rtnetlink(7)), and tun devices.</summary>
internal static class NetworkFeatures
{
    private const int NETLINK_ROUTE = 0, NETLINK_SOCK_DIAG = 4, SOCK_DIAG_BY_FAMILY = 20;
    private const int AF_UNIX = 1, AF_INET = 2, AF_INET6 = 10, AF_NETLINK = 16, AF_PACKET = 17;
    private const int IPPROTO_TCP = 6, IPPROTO_UDP = 17, IPPROTO_RAW = 255, NDIAG_PROTO_ALL = 255;
    private const int RTM_NEWLINK = 16, RTM_GETLINK = 18, RTM_SETLINK = 19, RTM_GETNSID = 90;
    private const int IFLA_IFNAME = 3, IFLA_LINKINFO = 18, IFLA_NET_NS_FD = 28, IFLA_LINK_NETNSID = 37, IFLA_NEW_IFINDEX = 49;
    private const int IFLA_INFO_KIND = 1, IFLA_INFO_DATA = 2, VETH_INFO_PEER = 1, NETNSA_PID = 2;
    private const int LinkHeaderSize = 16, InetRequestSize = 56, OtherRequestSize = 24, ChosenIndex = 13;
    private const uint TUNSETIFINDEX = 0x400454da;

    public static readonly Feature SocketDiagnostics = new("sock_diag", FeatureCategory.Basic, ProbeSocketDiagnostics)
    {
        NeededFor = "sockets of all kinds",
        Since = "a kernel with CONFIG_UNIX_DIAG, CONFIG_INET_DIAG, CONFIG_INET_UDP_DIAG, CONFIG_PACKET_DIAG and CONFIG_NETLINK_DIAG",
    };

    public static readonly Feature RawDiagnostics = new("net_diag_raw", FeatureCategory.Extra, ProbeRawDiagnostics)
    {
        NeededFor = "raw sockets", KnownToCriu = true, Since = "Linux 4.10 with CONFIG_INET_RAW_DIAG",
    };

    public static readonly Feature NamespaceId = new("nsid", FeatureCategory.Named, ProbeNamespaceId)
    {
        NeededFor = "devices whose other end is in another network namespace", KnownToCriu = true, Since = "Linux 4.0 with CONFIG_NET_NS",
    };

    public static readonly Feature LinkNamespaceId = new("link_nsid", FeatureCategory.Named, ProbeLinkNamespaceId)
    {
        NeededFor = "pairs of virtual devices across network namespaces", KnownToCriu = true,
        Since = "Linux 4.0 with CONFIG_NET_NS and CONFIG_VETH",
        Privilege = "CAP_SYS_ADMIN",
    };

    public static readonly Feature NewIndex = new("newifindex", FeatureCategory.Extra, ProbeNewIndex)
    {
        NeededFor = "devices that come from another namespace with their old index", KnownToCriu = true, Since = "Linux 5.7",
        Privilege = "CAP_NET_ADMIN",
    };

    public static readonly Feature Tun = new("tun", FeatureCategory.Extra, ProbeTun)
    {
        NeededFor = "tun and tap devices", KnownToCriu = true, Since = "a kernel with CONFIG_TUN, and /dev/net/tun",
        Privilege = "CAP_DAC_OVERRIDE",
    };

    public static readonly Feature TunNamespace = new("tun_ns", FeatureCategory.Named, ProbeTunNamespace)
    {
        NeededFor = "tun devices of other network namespaces", KnownToCriu = true, Since = "Linux 5.1 with CONFIG_TUN, and /dev/net/tun",
        Privilege = "CAP_NET_ADMIN",
    };

    // Questions that no socket answers: a kernel that knows the kind says that the list is empty, one that does not says ENOENT.
    private static Answer ProbeSocketDiagnostics(ProbeBench bench)
    {
        NetlinkSocket socket = new(bench.Child, NETLINK_SOCK_DIAG);
        (string Name, byte[] Request)[] kinds =
        [
            ("local", Request(AF_UNIX, 0, OtherRequestSize)), ("TCP", Request(AF_INET, IPPROTO_TCP, InetRequestSize)),
            ("UDP", Request(AF_INET, IPPROTO_UDP, InetRequestSize)), ("packet", Request(AF_PACKET, 0, OtherRequestSize)),
            ("netlink", Request(AF_NETLINK, NDIAG_PROTO_ALL, OtherRequestSize)),
        ];
        foreach ((string name, byte[] request) in kinds)
        {
            int error = Diagnose(socket, request);
            if (error < 0)
            {
                return Answer.Of($"list of {name} sockets", error);
            }
        }

        return Answer.Yes("lists of " + string.Join(", ", kinds.Select(kind => kind.Name)) + " sockets");
    }

    private static Answer ProbeRawDiagnostics(ProbeBench bench)
    {
        NetlinkSocket socket = new(bench.Child, NETLINK_SOCK_DIAG);
        int error = Diagnose(socket, Request(AF_INET, IPPROTO_RAW, InetRequestSize));
        return Answer.Of("list of raw sockets", error < 0 ? error : Diagnose(socket, Request(AF_INET6, IPPROTO_RAW, InetRequestSize)));
    }

    private static int Diagnose(NetlinkSocket socket, byte[] request) =>
        socket.Ask(new NetlinkMessage(SOCK_DIAG_BY_FAMILY, NetlinkMessage.NLM_F_REQUEST | NetlinkMessage.NLM_F_DUMP, request)).Error;

    // All requests begin with family and protocol; the zeros behind them ask for sockets in no state.
    private static byte[] Request(int family, int protocol, int size)
    {
        byte[] request = new byte[size];
        (request[0], request[1]) = ((byte)family, (byte)protocol);
        return request;
    }

    private static Answer ProbeNamespaceId(ProbeBench bench)
    {
        ProbeChild child = bench.Child;
        NetlinkMessage request = new NetlinkMessage(RTM_GETNSID, NetlinkMessage.Acknowledged, new byte[4]).Add(NETNSA_PID, child.Pid);
        return Answer.Of("RTM_GETNSID", new NetlinkSocket(child, NETLINK_ROUTE).Ask(request).Error);
    }

    // A pair of devices between two namespaces that end with the child.
    private static Answer ProbeLinkNamespaceId(ProbeBench bench)
    {
        using ProbeChild child = bench.Fresh();
        child.Must("unshare(CLONE_NEWNET)", SyscallNumber.unshare, (long)NamespaceFeatures.CLONE_NEWNET);
        long other = Syscall.Check(child.Open("/proc/self/ns/net", OpenAt.O_RDONLY), "open of /proc/self/ns/net");
        child.Must("unshare(CLONE_NEWNET)", SyscallNumber.unshare, (long)NamespaceFeatures.CLONE_NEWNET);
        NetlinkSocket socket = new(child, NETLINK_ROUTE);
        int error = socket.Ask(Pair((int)other)).Error;
        if (error < 0)
        {
            return Answer.Of("RTM_NEWLINK of a veth pair", error);
        }

        NetlinkReply links = socket.Ask(
            new NetlinkMessage(RTM_GETLINK, NetlinkMessage.NLM_F_REQUEST | NetlinkMessage.NLM_F_DUMP, new byte[LinkHeaderSize]));
        return Answer.Of("IFLA_LINK_NETNSID", links.Error == 0 && links.Has(LinkHeaderSize, IFLA_LINK_NETNSID));
    }

    private static NetlinkMessage Pair(int otherNamespace) =>
        new NetlinkMessage(RTM_NEWLINK, NetlinkMessage.Acknowledged | NetlinkMessage.NLM_F_CREATE, new byte[LinkHeaderSize])
            .Add(IFLA_IFNAME, "probe")
            .Nest(IFLA_LINKINFO, [], info => info
                .Add(IFLA_INFO_KIND, "veth")
                .Nest(IFLA_INFO_DATA, [], data => data
                    .Nest(VETH_INFO_PEER, new byte[LinkHeaderSize], peer => peer.Add(IFLA_NET_NS_FD, otherNamespace))));

    // A negative index: whoever knows the attribute complains of it (ERANGE) before it looks for the device, which does not exist (ENODEV).
    private static Answer ProbeNewIndex(ProbeBench bench)
    {
        NetlinkMessage request = new NetlinkMessage(RTM_SETLINK, NetlinkMessage.Acknowledged, new byte[LinkHeaderSize])
            .Add(IFLA_NEW_IFINDEX, -1).Add(IFLA_IFNAME, "criups-probe");
        int error = new NetlinkSocket(bench.Child, NETLINK_ROUTE).Ask(request).Error;
        return error == -Errno.ERANGE ? Answer.Yes("IFLA_NEW_IFINDEX") : Answer.Of("RTM_SETLINK with IFLA_NEW_IFINDEX", error);
    }

    // The index is of a device that is never made.
    private static Answer ProbeTun(ProbeBench bench)
    {
        ProbeChild child = bench.Child;
        long tun = child.Open("/dev/net/tun", OpenAt.O_RDWR);
        return Syscall.IsError(tun)
            ? Answer.Of("open of /dev/net/tun", tun)
            : Answer.Of("ioctl(TUNSETIFINDEX)", child.Call(SyscallNumber.ioctl, tun, TUNSETIFINDEX, child.Put(ChosenIndex)));
    }

    private static Answer ProbeTunNamespace(ProbeBench bench)
    {
        ProbeChild child = bench.Child;
        long tun = child.Open("/dev/net/tun", OpenAt.O_RDONLY);
        return Syscall.IsError(tun)
            ? Answer.Of("open of /dev/net/tun", tun)
            : Answer.Of("ioctl(SIOCGSKNS)", SocketFeatures.NamespaceOf(child, tun));
    }
}
