using System.Buffers.Binary;
using System.Runtime.InteropServices;
using CriuPS.Engine.Errors;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Kernel;

/// <summary>netlink(7): questions to the kernel in the network namespace of this process, and what its answers consist of.</summary>
internal static class Netlink
{
    public const int AF_NETLINK = 16, SOCK_RAW = 3, NLMSG_ERROR = 2;

    private const int AnswerSize = 32768, AttributeHeaderSize = 4, Alignment = 4, AttributeTypes = 0x3fff;

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

    /// <summary>Asks a question that one message answers.</summary>
    /// <param name="protocol">NETLINK_*.</param>
    /// <param name="request">The question.</param>
    /// <param name="call">What it is, for errors.</param>
    /// <param name="errno">Zero, or what the kernel said instead.</param>
    /// <returns>The answer without its header; empty where there is none.</returns>
    /// <exception cref="KernelException">It cannot be asked.</exception>
    public static ReadOnlySpan<byte> Ask(int protocol, NetlinkMessage request, string call, out int errno)
    {
        long opened = Syscall.Invoke(SyscallNumber.socket, AF_NETLINK, SOCK_RAW | UnixSocket.SOCK_CLOEXEC, protocol);
        using SafeFileHandle socket = new((nint)Syscall.Check(opened, () => $"socket(AF_NETLINK) for {call}"), ownsHandle: true);
        if (!PacketSocket.TrySend(socket, request.ToArray()))
        {
            throw new KernelException($"send({call})", Errno.EPIPE);
        }

        byte[] buffer = new byte[AnswerSize];
        ReadOnlySpan<byte> answer = buffer.AsSpan(0, UnixSocket.Receive(socket, buffer));
        nlmsghdr header = MemoryMarshal.Read<nlmsghdr>(answer);
        ReadOnlySpan<byte> content = answer[NetlinkMessage.HeaderSize..Math.Min(answer.Length, (int)header.nlmsg_len)];
        errno = header.nlmsg_type == NLMSG_ERROR ? -MemoryMarshal.Read<int>(content) : 0;
        return errno == 0 ? content : default;
    }

    /// <summary>The attributes of a message, or of an attribute that holds others, by their types; those behind a malformed one are left out.</summary>
    public static Dictionary<int, byte[]> Attributes(ReadOnlySpan<byte> text)
    {
        Dictionary<int, byte[]> found = [];
        while (text.Length >= AttributeHeaderSize)
        {
            int length = BinaryPrimitives.ReadUInt16LittleEndian(text), type = BinaryPrimitives.ReadUInt16LittleEndian(text[2..]) & AttributeTypes;
            if (length < AttributeHeaderSize || length > text.Length)
            {
                break;
            }

            found[type] = text[AttributeHeaderSize..length].ToArray();
            text = text[Math.Min((length + Alignment - 1) & -Alignment, text.Length)..];
        }

        return found;
    }
}
