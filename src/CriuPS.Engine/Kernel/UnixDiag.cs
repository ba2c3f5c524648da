using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using CriuPS.Engine.Errors;

namespace CriuPS.Engine.Kernel;

/// <summary>What the kernel tells of a unix socket by its inode: NETLINK_SOCK_DIAG (sock_diag(7)), in the network namespace of the caller.</summary>
internal static class UnixDiag
{
    public const int NETLINK_SOCK_DIAG = 4, SOCK_DIAG_BY_FAMILY = 20, UDIAG_SHOW_NAME = 1, UDIAG_SHOW_VFS = 2, UDIAG_SHOW_PEER = 4;
    public const int UDIAG_SHOW_ICONS = 8, UDIAG_SHOW_RQLEN = 16, UNIX_DIAG_NAME = 0, UNIX_DIAG_VFS = 1, UNIX_DIAG_PEER = 2, UNIX_DIAG_ICONS = 3;
    public const int UNIX_DIAG_RQLEN = 4, UNIX_DIAG_SHUTDOWN = 6;

    /// <summary>struct unix_diag_req.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct unix_diag_req
    {
        public byte sdiag_family;
        public byte sdiag_protocol;
        public ushort pad;
        public uint udiag_states;
        public uint udiag_ino;
        public uint udiag_show;
        public ulong udiag_cookie;
    }

    /// <summary>struct unix_diag_msg; attributes follow.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct unix_diag_msg
    {
        public byte udiag_family;
        public byte udiag_type;
        public byte udiag_state;
        public byte pad;
        public uint udiag_ino;
        public ulong udiag_cookie;
    }

    /// <summary>A socket as the kernel shows it.</summary>
    /// <param name="Inode">Its inode.</param>
    /// <param name="Type">SOCK_*.</param>
    /// <param name="State">TCP_*: established, closed or listening.</param>
    /// <param name="Name">What it was bound to, as in sun_path; empty for none.</param>
    /// <param name="File">The inode, and the device as the kernel keeps it, of the file that it is bound to; null for none.</param>
    /// <param name="Peer">The inode of the socket that it is connected with: 0 for one that is open nowhere (any more, or yet), null for none.</param>
    /// <param name="Pending">Of one that listens, the inodes of sockets whose connections wait; 0 for those that are closed again.</param>
    /// <param name="Waiting">Bytes in its queue; of one that listens, connections.</param>
    /// <param name="Unread">Of what it has sent, memory that nobody has freed by reading; of one that listens, how many connections may wait.</param>
    /// <param name="Shutdown">Directions that are shut down: 1 for receiving, 2 for sending.</param>
    public sealed record Socket(
        uint Inode, int Type, int State, byte[] Name, (uint Inode, uint Device)? File, uint? Peer, IReadOnlyList<uint> Pending, uint Waiting, uint Unread, int Shutdown);

    /// <summary>All sockets of the network namespace of this process.</summary>
    /// <exception cref="KernelException">The kernel lacks unix_diag.</exception>
    public static List<Socket> All()
    {
        unix_diag_req question = new()
        {
            sdiag_family = UnixSocket.AF_UNIX, udiag_states = uint.MaxValue,
            udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_VFS | UDIAG_SHOW_PEER | UDIAG_SHOW_ICONS | UDIAG_SHOW_RQLEN,
        };
        NetlinkMessage request = new(
            SOCK_DIAG_BY_FAMILY, NetlinkMessage.NLM_F_REQUEST | NetlinkMessage.NLM_F_DUMP, MemoryMarshal.AsBytes(new ReadOnlySpan<unix_diag_req>(in question)));
        List<Socket> sockets = [];
        Netlink.AskAll(NETLINK_SOCK_DIAG, request, "sock_diag(unix sockets)", answer => sockets.Add(Read(answer)));
        return sockets;
    }

    private static Socket Read(ReadOnlySpan<byte> answer)
    {
        unix_diag_msg socket = MemoryMarshal.Read<unix_diag_msg>(answer);
        Dictionary<int, byte[]> found = Netlink.Attributes(answer[Unsafe.SizeOf<unix_diag_msg>()..]);
        uint[]? Numbers(int type) => found.TryGetValue(type, out byte[]? value) ? MemoryMarshal.Cast<byte, uint>(value).ToArray() : null;

        uint[] lengths = Numbers(UNIX_DIAG_RQLEN) ?? [0, 0];
        return new Socket(
            socket.udiag_ino, socket.udiag_type, socket.udiag_state, found.GetValueOrDefault(UNIX_DIAG_NAME) ?? [],
            Numbers(UNIX_DIAG_VFS) is [uint inode, uint device] ? (inode, device) : null, Numbers(UNIX_DIAG_PEER) is [uint peer] ? peer : null,
            Numbers(UNIX_DIAG_ICONS) ?? [], lengths[0], lengths[1], found.TryGetValue(UNIX_DIAG_SHUTDOWN, out byte[]? shutdown) ? shutdown[0] : 0);
    }

    /// <summary>The inode of the socket at the other end of a connection; 0 where there is none.</summary>
    /// <param name="inode">The inode of the socket at this end.</param>
    /// <exception cref="KernelException">There is no such socket, or the kernel lacks unix_diag.</exception>
    public static uint PeerOf(ulong inode)
    {
        unix_diag_req question = new()
        {
            sdiag_family = UnixSocket.AF_UNIX, udiag_states = uint.MaxValue, udiag_ino = (uint)inode, udiag_show = UDIAG_SHOW_PEER, udiag_cookie = ulong.MaxValue,
        };
        NetlinkMessage request = new(
            SOCK_DIAG_BY_FAMILY, NetlinkMessage.NLM_F_REQUEST, MemoryMarshal.AsBytes(new ReadOnlySpan<unix_diag_req>(in question)));
        ReadOnlySpan<byte> answer = Netlink.Ask(NETLINK_SOCK_DIAG, request, $"sock_diag(unix socket {inode})", out int errno);
        if (errno != 0)
        {
            throw new KernelException($"sock_diag(unix socket {inode})", errno);
        }

        Dictionary<int, byte[]> attributes = Netlink.Attributes(answer[Unsafe.SizeOf<unix_diag_msg>()..]);
        return attributes.TryGetValue(UNIX_DIAG_PEER, out byte[]? peer) ? MemoryMarshal.Read<uint>(peer) : 0;
    }
}
