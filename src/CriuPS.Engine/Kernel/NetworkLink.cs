using System.Runtime.InteropServices;
using CriuPS.Engine.Errors;

namespace CriuPS.Engine.Kernel;

/// <summary>A network device of this namespace, as rtnetlink(7) tells of it.</summary>
/// <param name="Index">Its number.</param>
/// <param name="Type">The kind of its address (ARPHRD_*).</param>
/// <param name="Flags">IFF_*, netdevice(7).</param>
/// <param name="Mtu">The largest packet in bytes.</param>
/// <param name="Address">Its address; empty for none.</param>
/// <param name="Tun">What a tun or tap device has besides; null for another one.</param>
internal sealed record NetworkLink(int Index, ushort Type, uint Flags, uint Mtu, byte[] Address, TunLink? Tun)
{
    private const int NETLINK_ROUTE = 0, RTM_GETLINK = 18;
    private const int IFLA_ADDRESS = 1, IFLA_IFNAME = 3, IFLA_MTU = 4, IFLA_LINKINFO = 18, IFLA_INFO_KIND = 1, IFLA_INFO_DATA = 2;

    /// <summary>struct ifinfomsg.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct ifinfomsg
    {
        public byte ifi_family;
        public byte __ifi_pad;
        public ushort ifi_type;
        public int ifi_index;
        public uint ifi_flags;
        public uint ifi_change;
    }

    /// <summary>The device with a name; null where there is none.</summary>
    /// <exception cref="KernelException">The kernel does not tell.</exception>
    public static NetworkLink? Find(string name) => Find(Request(0).Add(IFLA_IFNAME, name), name);

    /// <summary>The device with a number; null where there is none.</summary>
    /// <exception cref="KernelException">The kernel does not tell.</exception>
    public static NetworkLink? Find(int index) => Find(Request(index), $"device {index}");

    private static NetlinkMessage Request(int index)
    {
        ifinfomsg question = new() { ifi_index = index };
        return new(RTM_GETLINK, NetlinkMessage.NLM_F_REQUEST, MemoryMarshal.AsBytes(new ReadOnlySpan<ifinfomsg>(in question)));
    }

    private static NetworkLink? Find(NetlinkMessage request, string shown)
    {
        ReadOnlySpan<byte> answer = Netlink.Ask(NETLINK_ROUTE, request, $"RTM_GETLINK of {shown}", out int errno);
        return errno switch
        {
            0 => Parse(answer),
            Errno.ENODEV => null,
            _ => throw new KernelException($"RTM_GETLINK of {shown}", errno),
        };
    }

    private static NetworkLink Parse(ReadOnlySpan<byte> message)
    {
        ifinfomsg header = MemoryMarshal.Read<ifinfomsg>(message);
        Dictionary<int, byte[]> link = Netlink.Attributes(message[Marshal.SizeOf<ifinfomsg>()..]);
        Dictionary<int, byte[]> info = link.TryGetValue(IFLA_LINKINFO, out byte[]? nested) ? Netlink.Attributes(nested) : [];
        bool isTun = info.TryGetValue(IFLA_INFO_KIND, out byte[]? kind) && kind.AsSpan().TrimEnd((byte)0).SequenceEqual("tun"u8);
        return new NetworkLink(
            header.ifi_index, header.ifi_type, header.ifi_flags, link.TryGetValue(IFLA_MTU, out byte[]? mtu) ? MemoryMarshal.Read<uint>(mtu) : 0,
            link.GetValueOrDefault(IFLA_ADDRESS, []), isTun ? TunLink.Parse(Netlink.Attributes(info.GetValueOrDefault(IFLA_INFO_DATA, []))) : null);
    }
}

/// <summary>What a tun or tap device has that others do not (since Linux 4.17; include/uapi/linux/if_link.h, IFLA_TUN_*).</summary>
/// <param name="Owner">Who may attach to it; -1 for nobody in particular.</param>
/// <param name="Group">Which group may; -1 for none.</param>
/// <param name="IsTap">Whether packets are frames.</param>
/// <param name="HasPacketInformation">Whether flags and protocol stand in front of each packet.</param>
/// <param name="IsPersistent">Whether it stays when no file is attached to it.</param>
/// <param name="HasQueues">Whether several files can be attached to it.</param>
internal readonly record struct TunLink(int Owner, int Group, bool IsTap, bool HasPacketInformation, bool IsPersistent, bool HasQueues)
{
    private const int IFLA_TUN_OWNER = 1, IFLA_TUN_GROUP = 2, IFLA_TUN_TYPE = 3, IFLA_TUN_PI = 4, IFLA_TUN_PERSIST = 6, IFLA_TUN_MULTI_QUEUE = 7;

    public static TunLink Parse(Dictionary<int, byte[]> attributes)
    {
        int Number(int type) => attributes.TryGetValue(type, out byte[]? value) && value.Length >= sizeof(int) ? MemoryMarshal.Read<int>(value) : -1;
        int Byte(int type) => attributes.TryGetValue(type, out byte[]? value) && value.Length > 0 ? value[0] : 0;
        return new TunLink(
            Number(IFLA_TUN_OWNER), Number(IFLA_TUN_GROUP), Byte(IFLA_TUN_TYPE) == TunDevice.IFF_TAP, Byte(IFLA_TUN_PI) != 0, Byte(IFLA_TUN_PERSIST) != 0,
            Byte(IFLA_TUN_MULTI_QUEUE) != 0);
    }
}
