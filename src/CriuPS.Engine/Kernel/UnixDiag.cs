using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using CriuPS.Engine.Errors;

namespace CriuPS.Engine.Kernel;

/// <summary>What the kernel tells of a unix socket by its inode: NETLINK_SOCK_DIAG (sock_diag(7)), in the network namespace of the caller.</summary>
internal static class UnixDiag
{
    public const int NETLINK_SOCK_DIAG = 4, SOCK_DIAG_BY_FAMILY = 20, UDIAG_SHOW_PEER = 4, UNIX_DIAG_PEER = 2;

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
