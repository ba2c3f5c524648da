using System.Runtime.InteropServices;
using System.Text;
using CriuPS.Engine.Errors;
using Microsoft.Win32.SafeHandles;

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
    private const int NETLINK_ROUTE = 0, RTM_GETLINK = 18, AnswerSize = 32768;
    private const int IFLA_ADDRESS = 1, IFLA_IFNAME = 3, IFLA_MTU = 4, IFLA_LINKINFO = 18, IFLA_INFO_KIND = 1, IFLA_INFO_DATA = 2;
    private const int AttributeHeaderSize = 4, AttributeTypes = 0x3fff;

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
    public static NetworkLink? Find(string name) => Find(0, CString.From(Encoding.UTF8.GetBytes(name)), name);

    /// <summary>The device with a number; null where there is none.</summary>
    /// <exception cref="KernelException">The kernel does not tell.</exception>
    public static NetworkLink? Find(int index) => Find(index, [], $"device {index}");

    private static NetworkLink? Find(int index, byte[] name, string shown)
    {
        int header = Marshal.SizeOf<UnixDiag.nlmsghdr>(), size = header + Marshal.SizeOf<ifinfomsg>(), attribute = AttributeHeaderSize + name.Length;
        byte[] request = new byte[size + (name.Length > 0 ? Aligned(attribute) : 0)];
        MemoryMarshal.Write(
            request, new UnixDiag.nlmsghdr { nlmsg_len = (uint)request.Length, nlmsg_type = RTM_GETLINK, nlmsg_flags = UnixDiag.NLM_F_REQUEST });
        MemoryMarshal.Write(request.AsSpan(header), new ifinfomsg { ifi_index = index });
        if (name.Length > 0)
        {
            MemoryMarshal.Write(request.AsSpan(size), new UnixDiag.nlattr { nla_len = (ushort)attribute, nla_type = IFLA_IFNAME });
            name.CopyTo(request, size + AttributeHeaderSize);
        }

        return Ask(request, shown) is { } answer ? Parse(answer) : null;
    }

    private static byte[]? Ask(byte[] request, string shown)
    {
        const int Type = UnixDiag.SOCK_RAW | UnixSocket.SOCK_CLOEXEC;
        long opened = Syscall.Invoke(SyscallNumber.socket, UnixDiag.AF_NETLINK, Type, NETLINK_ROUTE);
        using SafeFileHandle netlink = new((nint)Syscall.Check(opened, "socket(NETLINK_ROUTE)"), ownsHandle: true);
        if (!PacketSocket.TrySend(netlink, request))
        {
            throw new KernelException($"send(RTM_GETLINK, {shown})", Errno.EPIPE);
        }

        byte[] answer = new byte[AnswerSize];
        int length = UnixSocket.Receive(netlink, answer);
        UnixDiag.nlmsghdr header = MemoryMarshal.Read<UnixDiag.nlmsghdr>(answer);
        if (header.nlmsg_type != UnixDiag.NLMSG_ERROR)
        {
            return answer[Marshal.SizeOf<UnixDiag.nlmsghdr>()..Math.Min(length, (int)header.nlmsg_len)];
        }

        int errno = -MemoryMarshal.Read<int>(answer.AsSpan(Marshal.SizeOf<UnixDiag.nlmsghdr>()));
        return errno == Errno.ENODEV ? null : throw new KernelException($"RTM_GETLINK of {shown}", errno);
    }

    private static NetworkLink Parse(ReadOnlySpan<byte> message)
    {
        ifinfomsg header = MemoryMarshal.Read<ifinfomsg>(message);
        Dictionary<int, byte[]> link = Attributes(message[Marshal.SizeOf<ifinfomsg>()..]);
        Dictionary<int, byte[]> info = link.TryGetValue(IFLA_LINKINFO, out byte[]? nested) ? Attributes(nested) : [];
        bool isTun = info.TryGetValue(IFLA_INFO_KIND, out byte[]? kind) && kind.AsSpan().TrimEnd((byte)0).SequenceEqual("tun"u8);
        return new NetworkLink(
            header.ifi_index, header.ifi_type, header.ifi_flags, link.TryGetValue(IFLA_MTU, out byte[]? mtu) ? MemoryMarshal.Read<uint>(mtu) : 0,
            link.GetValueOrDefault(IFLA_ADDRESS, []), isTun ? TunLink.Parse(Attributes(info.GetValueOrDefault(IFLA_INFO_DATA, []))) : null);
    }

    private static Dictionary<int, byte[]> Attributes(ReadOnlySpan<byte> text)
    {
        Dictionary<int, byte[]> found = [];
        while (text.Length >= AttributeHeaderSize)
        {
            UnixDiag.nlattr attribute = MemoryMarshal.Read<UnixDiag.nlattr>(text);
            int length = Math.Clamp(attribute.nla_len, AttributeHeaderSize, text.Length);
            found[attribute.nla_type & AttributeTypes] = text[AttributeHeaderSize..length].ToArray();
            text = text[Math.Min(Aligned(length), text.Length)..];
        }

        return found;
    }

    private static int Aligned(int length) => (length + 3) & ~3;
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
