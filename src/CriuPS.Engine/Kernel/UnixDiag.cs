using System.Runtime.InteropServices;
using CriuPS.Engine.Errors;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Kernel;

/// <summary>What the kernel tells of a unix socket by its inode: NETLINK_SOCK_DIAG (sock_diag(7)), in the network namespace of the caller.</summary>
internal static unsafe class UnixDiag
{
    public const int AF_NETLINK = 16, SOCK_RAW = 3, NETLINK_SOCK_DIAG = 4, SOCK_DIAG_BY_FAMILY = 20, NLM_F_REQUEST = 1, NLMSG_ERROR = 2;
    public const int UDIAG_SHOW_PEER = 4, UNIX_DIAG_PEER = 2;

    private const int AnswerSize = 4096, Aligned = 4;

    /// <summary>struct nlmsghdr.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct nlmsghdr
    {
        public uint nlmsg_len;
        public ushort nlmsg_type;
        public ushort nlmsg_flags;
        public uint nlmsg_seq;
        public uint nlmsg_pid;
    }

    /// <summary>struct nlattr.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct nlattr
    {
        public ushort nla_len;
        public ushort nla_type;
    }

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
        using SafeFileHandle netlink = new((nint)Syscall.Check(
            Syscall.Invoke(SyscallNumber.socket, AF_NETLINK, SOCK_RAW | UnixSocket.SOCK_CLOEXEC, NETLINK_SOCK_DIAG), "socket(NETLINK_SOCK_DIAG)"), true);
        Ask(netlink, inode);
        Span<byte> answer = stackalloc byte[AnswerSize];
        return Peer(answer[..UnixSocket.Receive(netlink, answer)], inode);
    }

    private static void Ask(SafeFileHandle netlink, ulong inode)
    {
        Span<byte> request = stackalloc byte[sizeof(nlmsghdr) + sizeof(unix_diag_req)];
        MemoryMarshal.Write(request, new nlmsghdr { nlmsg_len = (uint)request.Length, nlmsg_type = SOCK_DIAG_BY_FAMILY, nlmsg_flags = NLM_F_REQUEST });
        MemoryMarshal.Write(request[sizeof(nlmsghdr)..], new unix_diag_req
        {
            sdiag_family = UnixSocket.AF_UNIX, udiag_states = uint.MaxValue, udiag_ino = (uint)inode, udiag_show = UDIAG_SHOW_PEER, udiag_cookie = ulong.MaxValue,
        });
        if (!PacketSocket.TrySend(netlink, request))
        {
            throw new KernelException($"send(NETLINK_SOCK_DIAG, inode {inode})", Errno.EPIPE);
        }
    }

    private static uint Peer(ReadOnlySpan<byte> answer, ulong inode)
    {
        nlmsghdr header = MemoryMarshal.Read<nlmsghdr>(answer);
        if (header.nlmsg_type == NLMSG_ERROR)
        {
            throw new KernelException($"sock_diag(unix socket {inode})", -MemoryMarshal.Read<int>(answer[sizeof(nlmsghdr)..]));
        }

        ReadOnlySpan<byte> attributes = answer[(sizeof(nlmsghdr) + sizeof(unix_diag_msg))..(int)header.nlmsg_len];
        while (attributes.Length >= sizeof(nlattr))
        {
            nlattr attribute = MemoryMarshal.Read<nlattr>(attributes);
            if (attribute.nla_type == UNIX_DIAG_PEER)
            {
                return MemoryMarshal.Read<uint>(attributes[sizeof(nlattr)..]);
            }

            attributes = attributes[Math.Min(attributes.Length, (attribute.nla_len + Aligned - 1) & ~(Aligned - 1))..];
        }

        return 0;
    }
}
