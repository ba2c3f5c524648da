using System.Buffers.Binary;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Check;

/// <summary>Taking TCP connections apart and putting them together again: TCP_REPAIR (net/ipv4/tcp.c), tried on the loopback.</summary>
internal static class TcpFeatures
{
    private const int AF_INET = 2, SOCK_STREAM = 1, IPPROTO_TCP = 6, SHUT_WR = 1;
    private const int TCP_REPAIR = 19, TCP_TIMESTAMP = 24, TCP_REPAIR_WINDOW = 29, WindowSize = 20, AddressSize = 16;

    public static readonly Feature Repair = new("tcp_repair", FeatureCategory.Basic, ProbeRepair)
    {
        NeededFor = "TCP connections", Since = "Linux 3.9", Privilege = "CAP_NET_ADMIN",
    };

    public static readonly Feature Window = new("tcp_window", FeatureCategory.Extra, ProbeWindow)
    {
        NeededFor = "the windows of TCP connections", Since = "Linux 4.8", Privilege = "CAP_NET_ADMIN",
    };

    public static readonly Feature HalfClosed = new("tcp_half_closed", FeatureCategory.Extra, ProbeHalfClosed)
    {
        NeededFor = "TCP connections that one side has closed", KnownToCriu = true, Since = "Linux 4.10", Privilege = "CAP_NET_ADMIN",
    };

    private static Answer ProbeRepair(ProbeBench bench) =>
        ProbeOption(bench.Child, "setsockopt(TCP_REPAIR), getsockopt(TCP_TIMESTAMP)", TCP_TIMESTAMP, sizeof(int));

    private static Answer ProbeWindow(ProbeBench bench) =>
        ProbeOption(bench.Child, "getsockopt(TCP_REPAIR_WINDOW)", TCP_REPAIR_WINDOW, WindowSize);

    // An option that only a socket in repair tells.
    private static Answer ProbeOption(ProbeChild child, string call, int option, int size)
    {
        long socket = Open(child);
        long repair = StartRepair(child, socket);
        return Syscall.IsError(repair)
            ? Answer.Of("setsockopt(TCP_REPAIR)", repair)
            : Answer.Of(call, child.Call(SyscallNumber.getsockopt, socket, IPPROTO_TCP, option, child.Room(size), child.Put(size)));
    }

    // Both ends are the child's; the listener never accepts, so the connection is reset with it and nothing lingers.
    private static Answer ProbeHalfClosed(ProbeBench bench)
    {
        ProbeChild child = bench.Child;
        long listener = Open(child), client = Open(child);
        byte[] loopback = new byte[AddressSize];
        loopback[0] = AF_INET;
        BinaryPrimitives.WriteUInt32BigEndian(loopback.AsSpan(4), 0x7f000001);
        long address = child.Put(loopback);
        child.Must("bind", SyscallNumber.bind, listener, address, AddressSize);
        child.Must("listen", SyscallNumber.listen, listener, 1);
        child.Must("getsockname", SyscallNumber.getsockname, listener, address, child.Put(AddressSize));
        child.Must("connect to the loopback", SyscallNumber.connect, client, address, AddressSize);
        child.Must("shutdown", SyscallNumber.shutdown, client, SHUT_WR);
        return Answer.Of("setsockopt(TCP_REPAIR) of a half-closed connection", StartRepair(child, client));
    }

    private static long Open(ProbeChild child) => child.Must("socket", SyscallNumber.socket, AF_INET, SOCK_STREAM, IPPROTO_TCP);

    private static long StartRepair(ProbeChild child, long socket) =>
        child.Call(SyscallNumber.setsockopt, socket, IPPROTO_TCP, TCP_REPAIR, child.Put(1), sizeof(int));
}
