using System.Runtime.InteropServices;
using System.Text;
using CriuPS.Engine.Errors;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Kernel;

/// <summary>
/// Network devices whose other end is a file of /dev/net/tun: ioctl(2) as include/uapi/linux/if_tun.h has it, and of netdevice(7) what such devices are given.
/// </summary>
internal static unsafe class TunDevice
{
    public const int IFF_TUN = 1, IFF_TAP = 2, IFF_MULTI_QUEUE = 0x100, IFF_DETACH_QUEUE = 0x400, IFF_PERSIST = 0x800, IFF_NO_PI = 0x1000;
    public const int TUNSETPERSIST = 0x400454cb;
    public const int IFNAMSIZ = 16;

    /// <summary>What a device keeps of its flags besides its kind: IFF_NAPI, IFF_NAPI_FRAGS, IFF_MULTI_QUEUE, IFF_NO_PI, IFF_ONE_QUEUE, IFF_VNET_HDR.</summary>
    public const int Features = 0x7130;

    private const int TUNSETIFF = 0x400454ca, TUNSETOWNER = 0x400454cc, TUNSETGROUP = 0x400454ce, TUNSETSNDBUF = 0x400454d4, TUNSETVNETHDRSZ = 0x400454d8;
    private const int TUNSETQUEUE = 0x400454d9, TUNSETIFINDEX = 0x400454da, TUNGETDEVNETNS = 0x54e3, SIOCGSKNS = 0x894c;
    private const uint TUNGETIFF = 0x800454d2, TUNGETSNDBUF = 0x800454d3, TUNGETVNETHDRSZ = 0x800454d7, TUNGETFILTER = 0x801054db;
    private const int SIOCSIFFLAGS = 0x8914, SIOCSIFMTU = 0x8922, SIOCSIFHWADDR = 0x8924, SOCK_DGRAM = 2;
    private const int AddressSize = 14;

    /// <summary>struct ifreq, with those members of its union that are used.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 40)]
    public struct ifreq
    {
        [FieldOffset(0)]
        public fixed byte ifr_name[IFNAMSIZ];

        [FieldOffset(IFNAMSIZ)]
        public short ifr_flags;

        [FieldOffset(IFNAMSIZ)]
        public int ifr_mtu;

        [FieldOffset(IFNAMSIZ)]
        public sockaddr ifr_hwaddr;
    }

    /// <summary>struct sockaddr.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct sockaddr
    {
        public ushort sa_family;
        public fixed byte sa_data[AddressSize];
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct sock_fprog
    {
        public ushort len;
        public ulong filter;
    }

    /// <summary>
    /// The device that a file is attached to, and its flags; null where there is none. IFF_NO_PI says nothing here: the same bit means that there is no filter.
    /// </summary>
    public static (string Name, int Flags)? Attached(SafeFileHandle tun)
    {
        ifreq request = default;
        long result = Syscall.Invoke(SyscallNumber.ioctl, tun.DangerousGetHandle(), TUNGETIFF, (long)&request);
        if (result == -Errno.EBADFD)
        {
            return null;
        }

        Syscall.Check(result, "ioctl(TUNGETIFF)");
        return (Encoding.UTF8.GetString(MemoryMarshal.CreateReadOnlySpanFromNullTerminated(request.ifr_name)), (ushort)request.ifr_flags);
    }

    /// <summary>Attaches a file to a device, which is made where it is not there.</summary>
    public static void Attach(SafeFileHandle tun, string name, int flags)
    {
        ifreq request = Request(name);
        request.ifr_flags = (short)flags;
        Control(tun, TUNSETIFF, (long)&request, $"ioctl(TUNSETIFF, {name})");
    }

    /// <summary>Takes a file away from the queues of its device for the time being.</summary>
    public static void Detach(SafeFileHandle tun)
    {
        ifreq request = default;
        request.ifr_flags = IFF_DETACH_QUEUE;
        Control(tun, TUNSETQUEUE, (long)&request, "ioctl(TUNSETQUEUE, IFF_DETACH_QUEUE)");
    }

    /// <summary>Which number the device gets that is made by the next <see cref="Attach"/>.</summary>
    public static void SetIndex(SafeFileHandle tun, int index) => Control(tun, TUNSETIFINDEX, (long)&index, "ioctl(TUNSETIFINDEX)");

    public static void SetOwner(SafeFileHandle tun, int user) => Control(tun, TUNSETOWNER, user, "ioctl(TUNSETOWNER)");

    public static void SetGroup(SafeFileHandle tun, int group) => Control(tun, TUNSETGROUP, group, "ioctl(TUNSETGROUP)");

    public static int SendBuffer(SafeFileHandle tun) => Number(tun, TUNGETSNDBUF, "ioctl(TUNGETSNDBUF)");

    public static void SetSendBuffer(SafeFileHandle tun, int bytes) => Control(tun, TUNSETSNDBUF, (long)&bytes, "ioctl(TUNSETSNDBUF)");

    /// <summary>Bytes of the header that stands in front of each packet with IFF_VNET_HDR.</summary>
    public static int HeaderSize(SafeFileHandle tun) => Number(tun, TUNGETVNETHDRSZ, "ioctl(TUNGETVNETHDRSZ)");

    public static void SetHeaderSize(SafeFileHandle tun, int bytes) => Control(tun, TUNSETVNETHDRSZ, (long)&bytes, "ioctl(TUNSETVNETHDRSZ)");

    /// <summary>Whether a tap device has a filter; the kernel tells its length alone.</summary>
    public static bool HasFilter(SafeFileHandle tap)
    {
        sock_fprog filter;
        Control(tap, TUNGETFILTER, (long)&filter, "ioctl(TUNGETFILTER)");
        return filter.len != 0;
    }

    /// <summary>The inodes of the network namespaces of a file (since Linux 5.1), and of the device that it is attached to (since 5.2).</summary>
    public static (ulong File, ulong Device) NamespacesOf(SafeFileHandle tun, bool attached)
    {
        ulong file = InodeOf(Control(tun, SIOCGSKNS, 0, "ioctl(SIOCGSKNS)"));
        return (file, attached ? InodeOf(Control(tun, TUNGETDEVNETNS, 0, "ioctl(TUNGETDEVNETNS)")) : file);
    }

    /// <summary>Gives a device that is down an address, a size of packets, and flags, which come last because they may start it.</summary>
    /// <param name="name">The device.</param>
    /// <param name="type">The kind of its address (ARPHRD_*).</param>
    /// <param name="address">Its address; empty for none.</param>
    /// <param name="mtu">The largest packet in bytes.</param>
    /// <param name="flags">IFF_*; those that only the kernel sets do not matter.</param>
    public static void Configure(string name, ushort type, ReadOnlySpan<byte> address, int mtu, uint flags)
    {
        using SafeFileHandle socket = new((nint)Syscall.Check(
            Syscall.Invoke(SyscallNumber.socket, UnixSocket.AF_UNIX, SOCK_DGRAM | UnixSocket.SOCK_CLOEXEC, 0), "socket(AF_UNIX)"), ownsHandle: true);
        if (!address.IsEmpty)
        {
            ifreq wanted = Request(name);
            wanted.ifr_hwaddr.sa_family = type;
            address[..Math.Min(address.Length, AddressSize)].CopyTo(new Span<byte>(wanted.ifr_hwaddr.sa_data, AddressSize));
            Control(socket, SIOCSIFHWADDR, (long)&wanted, $"ioctl(SIOCSIFHWADDR, {name})");
        }

        ifreq request = Request(name);
        request.ifr_mtu = mtu;
        Control(socket, SIOCSIFMTU, (long)&request, $"ioctl(SIOCSIFMTU, {name})");
        request = Request(name);
        request.ifr_flags = (short)flags;
        Control(socket, SIOCSIFFLAGS, (long)&request, $"ioctl(SIOCSIFFLAGS, {name})");
    }

    private static ifreq Request(string name)
    {
        ifreq request = default;
        Encoding.UTF8.GetBytes(name, new Span<byte>(request.ifr_name, IFNAMSIZ - 1));
        return request;
    }

    private static ulong InodeOf(long descriptor)
    {
        using SafeFileHandle handle = new((nint)descriptor, ownsHandle: true);
        return FileStatus.Of(handle).st_ino;
    }

    private static int Number(SafeFileHandle tun, uint request, string call)
    {
        int value;
        Control(tun, request, (long)&value, call);
        return value;
    }

    private static long Control(SafeFileHandle file, long request, long argument, string call) =>
        Syscall.Check(Syscall.Invoke(SyscallNumber.ioctl, file.DangerousGetHandle(), request, argument), call);
}
