using System.Buffers.Binary;
using System.Runtime.InteropServices;
using CriuPS.Engine.Errors;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Kernel;

/// <summary>netlink(7): questions to the kernel in the network namespace of this process, and what its answers consist of.</summary>
internal static class Netlink
{
    public const int AF_NETLINK = 16, SOCK_RAW = 3, NLMSG_ERROR = 2, NLMSG_DONE = 3;

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
        using SafeFileHandle socket = Send(protocol, request, call);
        byte[] buffer = new byte[AnswerSize];
        ReadOnlySpan<byte> answer = buffer.AsSpan(0, UnixSocket.Receive(socket, buffer));
        nlmsghdr header = MemoryMarshal.Read<nlmsghdr>(answer);
        ReadOnlySpan<byte> content = answer[NetlinkMessage.HeaderSize..Math.Min(answer.Length, (int)header.nlmsg_len)];
        errno = header.nlmsg_type == NLMSG_ERROR ? -MemoryMarshal.Read<int>(content) : 0;
        return errno == 0 ? content : default;
    }

    private static SafeFileHandle Send(int protocol, NetlinkMessage request, string call)
    {
        long opened = Syscall.Invoke(SyscallNumber.socket, AF_NETLINK, SOCK_RAW | UnixSocket.SOCK_CLOEXEC, protocol);
        SafeFileHandle socket = new((nint)Syscall.Check(opened, () => $"socket(AF_NETLINK) for {call}"), ownsHandle: true);
        if (PacketSocket.TrySend(socket, request.ToArray()))
        {
            return socket;
        }

        socket.Dispose();
        throw new KernelException($"send({call})", Errno.EPIPE);
    }

    /// <summary>Receives one of the messages of an answer, without its header.</summary>
    public delegate void Receiver(ReadOnlySpan<byte> answer);

    /// <summary>Asks a question that any number of messages answer.</summary>
    /// <param name="protocol">NETLINK_*.</param>
    /// <param name="request">The question, with NLM_F_DUMP.</param>
    /// <param name="call">What it is, for errors.</param>
    /// <param name="receiver">Takes the answers.</param>
    /// <exception cref="KernelException">It cannot be asked, or is not answered.</exception>
    public static void AskAll(int protocol, NetlinkMessage request, string call, Receiver receiver)
    {
        using SafeFileHandle socket = Send(protocol, request, call);
        byte[] buffer = new byte[AnswerSize];
        while (true)
        {
            for (ReadOnlySpan<byte> rest = buffer.AsSpan(0, UnixSocket.Receive(socket, buffer)); rest.Length >= NetlinkMessage.HeaderSize;)
            {
                nlmsghdr header = MemoryMarshal.Read<nlmsghdr>(rest);
                ReadOnlySpan<byte> content = rest[NetlinkMessage.HeaderSize..Math.Min(rest.Length, (int)header.nlmsg_len)];
                if (header.nlmsg_type == NLMSG_DONE)
                {
                    return;
                }

                if (header.nlmsg_type == NLMSG_ERROR)
                {
                    throw new KernelException(call, -MemoryMarshal.Read<int>(content));
                }

                receiver(content);
                rest = rest[Math.Min(rest.Length, ((int)header.nlmsg_len + Alignment - 1) & -Alignment)..];
            }
        }
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
