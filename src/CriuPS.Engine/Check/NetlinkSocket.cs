using System.Buffers.Binary;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Check;

/// <summary>What the kernel answered to a netlink message.</summary>
/// <param name="Error">0, or -errno.</param>
/// <param name="Messages">The messages of the answer, acknowledgements left out; each begins with its header.</param>
internal sealed record NetlinkReply(int Error, IReadOnlyList<byte[]> Messages)
{
    /// <summary>Whether some message has an attribute of a type.</summary>
    /// <param name="headerSize">The size of the protocol's own header.</param>
    /// <param name="type">The attribute.</param>
    public bool Has(int headerSize, int type) =>
        Messages.Any(message => Netlink.Attributes(message.AsSpan(NetlinkMessage.HeaderSize + headerSize)).ContainsKey(type));
}

/// <summary>A netlink socket of a child: asks the kernel, which answers within the call.</summary>
internal sealed class NetlinkSocket
{
    private const int BufferSize = 16384;

    private readonly ProbeChild _child;
    private readonly long _socket, _buffer;

    /// <param name="child">Who asks: in its network namespace, with its privileges.</param>
    /// <param name="protocol">NETLINK_*.</param>
    public NetlinkSocket(ProbeChild child, int protocol)
    {
        _child = child;
        _socket = child.Must("socket(AF_NETLINK)", SyscallNumber.socket, Netlink.AF_NETLINK, Netlink.SOCK_RAW, protocol);
        _buffer = child.Room(BufferSize);
    }

    /// <summary>Sends messages as one and reads the answer up to its end: an acknowledgement, an error, or the end of a list.</summary>
    public NetlinkReply Ask(params ReadOnlySpan<NetlinkMessage> messages)
    {
        byte[] request = [.. Concatenate(messages)];
        _child.Must("send", SyscallNumber.sendto, _socket, _child.Put(request), request.Length, 0, 0, 0);
        List<byte[]> answer = [];
        while (true)
        {
            // All that there is to say has been said when the kernel took the message: nothing is waited for.
            long length = _child.Must("receive", SyscallNumber.recvfrom, _socket, _buffer, BufferSize, UnixSocket.MSG_DONTWAIT, 0, 0);
            if (TakeAll(_child.Read(_buffer, (int)length), answer) is { } error)
            {
                return new NetlinkReply(error, answer);
            }
        }
    }

    /// <summary>The next answer to messages that are acknowledged one by one.</summary>
    public NetlinkReply Next()
    {
        long length = _child.Must("receive", SyscallNumber.recvfrom, _socket, _buffer, BufferSize, UnixSocket.MSG_DONTWAIT, 0, 0);
        List<byte[]> answer = [];
        return new NetlinkReply(TakeAll(_child.Read(_buffer, (int)length), answer) ?? 0, answer);
    }

    private static List<byte> Concatenate(ReadOnlySpan<NetlinkMessage> messages)
    {
        List<byte> all = [];
        foreach (NetlinkMessage message in messages)
        {
            all.AddRange(message.ToArray());
        }

        return all;
    }

    // The error that ends the answer, 0 for a good end, null where there is more to come.
    private static int? TakeAll(ReadOnlySpan<byte> received, List<byte[]> answer)
    {
        while (received.Length >= NetlinkMessage.HeaderSize)
        {
            int length = Math.Min((int)BinaryPrimitives.ReadUInt32LittleEndian(received), received.Length);
            int type = BinaryPrimitives.ReadUInt16LittleEndian(received[4..]);
            if (type is Netlink.NLMSG_ERROR or Netlink.NLMSG_DONE)
            {
                return length >= NetlinkMessage.HeaderSize + sizeof(int)
                    ? Math.Min(0, BinaryPrimitives.ReadInt32LittleEndian(received[NetlinkMessage.HeaderSize..]))
                    : 0;
            }

            answer.Add(received[..length].ToArray());
            received = received[Math.Min((length + 3) & ~3, received.Length)..];
        }

        return null;
    }
}
