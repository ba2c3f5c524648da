using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Check;

/// <summary>Sockets and their options (socket(7), unix(7), ipv6(7)).</summary>
internal static class SocketFeatures
{
    private const int AF_INET = 2, AF_INET6 = 10, SOCK_DGRAM = 2, IPPROTO_IPV6 = 41;
    private const int SO_BINDTODEVICE = 25, SO_GET_FILTER = 26, SO_PEEK_OFF = 42, SO_BUF_LOCK = 72, SO_RCVBUF = 8, SOCK_RCVBUF_LOCK = 2;
    private const int IPV6_FREEBIND = 78, SIOCUNIXFILE = 0x89e0, SIOCGSKNS = 0x894c, NameSize = 16;

    public static readonly Feature PeekOffset = new("sock_peek_off", FeatureCategory.Basic, ProbePeekOffset)
    {
        NeededFor = "what waits in local sockets", Since = "Linux 3.4",
    };

    public static readonly Feature Options = new("socket_options", FeatureCategory.Basic, ProbeOptions)
    {
        NeededFor = "filters and devices of sockets", Since = "Linux 3.8",
    };

    public static readonly Feature BufferLock = new("sockopt_buf_lock", FeatureCategory.Extra, ProbeBufferLock)
    {
        NeededFor = "sizes of socket buffers that a program has chosen", KnownToCriu = true, Since = "Linux 5.15",
    };

    public static readonly Feature FreeBind = new("ipv6_freebind", FeatureCategory.Extra, ProbeFreeBind)
    {
        NeededFor = "IPv6 sockets whose address is not there yet", KnownToCriu = true, Since = "Linux 4.15 with CONFIG_IPV6",
    };

    public static readonly Feature Namespace = new("sk_ns", FeatureCategory.Extra, ProbeNamespace)
    {
        NeededFor = "sockets of other network namespaces", KnownToCriu = true, Since = "Linux 4.10 with CONFIG_NET_NS",
        Privilege = "CAP_NET_ADMIN",
    };

    public static readonly Feature UnixFile = new("sk_unix_file", FeatureCategory.Named, ProbeUnixFile)
    {
        NeededFor = "the file that a local socket is bound to", KnownToCriu = true, Since = "Linux 4.10", Privilege = "CAP_NET_ADMIN",
    };

    private static Answer ProbePeekOffset(ProbeBench bench)
    {
        ProbeChild child = bench.Child;
        long socket = Open(child, UnixSocket.AF_UNIX);
        return Get(child, "getsockopt(SO_PEEK_OFF)", socket, UnixSocket.SOL_SOCKET, SO_PEEK_OFF, value => value == -1);
    }

    private static Answer ProbeOptions(ProbeBench bench)
    {
        ProbeChild child = bench.Child;
        long socket = Open(child, AF_INET);
        long filter = child.Call(SyscallNumber.getsockopt, socket, UnixSocket.SOL_SOCKET, SO_GET_FILTER, 0, child.Put(0));
        if (Syscall.IsError(filter))
        {
            return Answer.Of("getsockopt(SO_GET_FILTER)", filter);
        }

        return Answer.Of(
            "getsockopt(SO_GET_FILTER, SO_BINDTODEVICE)",
            child.Call(
                SyscallNumber.getsockopt, socket, UnixSocket.SOL_SOCKET, SO_BINDTODEVICE, child.Room(NameSize), child.Put(NameSize)));
    }

    private static Answer ProbeBufferLock(ProbeBench bench)
    {
        ProbeChild child = bench.Child;
        long socket = Open(child, UnixSocket.AF_UNIX);
        child.Must(
            "setsockopt(SO_RCVBUF)", SyscallNumber.setsockopt, socket, UnixSocket.SOL_SOCKET, SO_RCVBUF, child.Put(1 << 14), sizeof(int));
        return Get(child, "getsockopt(SO_BUF_LOCK)", socket, UnixSocket.SOL_SOCKET, SO_BUF_LOCK, value => value == SOCK_RCVBUF_LOCK);
    }

    private static Answer ProbeFreeBind(ProbeBench bench)
    {
        ProbeChild child = bench.Child;
        long socket = Open(child, AF_INET6);
        return Answer.Of(
            "setsockopt(IPV6_FREEBIND)",
            child.Call(SyscallNumber.setsockopt, socket, IPPROTO_IPV6, IPV6_FREEBIND, child.Put(1), sizeof(int)));
    }

    private static Answer ProbeNamespace(ProbeBench bench)
    {
        ProbeChild child = bench.Child;
        return Answer.Of("ioctl(SIOCGSKNS)", NamespaceOf(child, Open(child, UnixSocket.AF_UNIX)));
    }

    /// <summary>A descriptor of the network namespace that a socket, or a tun device, belongs to; or -errno.</summary>
    public static long NamespaceOf(ProbeChild child, long fd) => child.Call(SyscallNumber.ioctl, fd, SIOCGSKNS);

    // Only a socket that is bound to a file has one; the file is on a mount of the child's own.
    private static Answer ProbeUnixFile(ProbeBench bench)
    {
        using ProbeChild child = bench.Fresh();
        string folder = MountFeatures.PrivateFolder(child);
        long socket = Open(child, UnixSocket.AF_UNIX);
        byte[] address = [UnixSocket.AF_UNIX, 0, .. CString.From($"{folder}/socket")];
        child.Must("bind", SyscallNumber.bind, socket, child.Put(address), address.Length);
        return Answer.Of("ioctl(SIOCUNIXFILE)", child.Call(SyscallNumber.ioctl, socket, SIOCUNIXFILE));
    }

    private static Answer Get(ProbeChild child, string call, long socket, int level, int option, Func<int, bool> expected)
    {
        long value = child.Room(sizeof(int));
        long result = child.Call(SyscallNumber.getsockopt, socket, level, option, value, child.Put(sizeof(int)));
        return Syscall.IsError(result) ? Answer.Of(call, result) : Answer.Of(call, expected(child.Read<int>(value)));
    }

    private static long Open(ProbeChild child, int family) => child.Must("socket", SyscallNumber.socket, family, SOCK_DGRAM, 0);
}
