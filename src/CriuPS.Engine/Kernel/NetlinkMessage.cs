using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace CriuPS.Engine.Kernel;

/// <summary>A message for netlink(7): header, the protocol's own header, attributes that may hold attributes.</summary>
internal sealed class NetlinkMessage
{
    public const int NLM_F_REQUEST = 1, NLM_F_ACK = 4, NLM_F_DUMP = 0x300, NLM_F_CREATE = 0x400;
    public const int Acknowledged = NLM_F_REQUEST | NLM_F_ACK;
    public const int NLA_F_NESTED = 1 << 15;
    public const int HeaderSize = 16;

    private const int AttributeHeaderSize = 4, Alignment = 4;

    private readonly List<byte> _bytes = [];

    /// <param name="type">The protocol's number of the message.</param>
    /// <param name="flags">NLM_F_*.</param>
    /// <param name="header">The protocol's own header.</param>
    public NetlinkMessage(int type, int flags, ReadOnlySpan<byte> header)
    {
        Number16(0);
        Number16(0);
        Number16(type);
        Number16(flags);
        _bytes.AddRange(new byte[8]);
        _bytes.AddRange(header);
        Pad();
    }

    /// <summary>Adds an attribute.</summary>
    public NetlinkMessage Add(int type, ReadOnlySpan<byte> value)
    {
        Number16(AttributeHeaderSize + value.Length);
        Number16(type);
        _bytes.AddRange(value);
        Pad();
        return this;
    }

    /// <summary>Adds an attribute with a number in the processor's order.</summary>
    public NetlinkMessage Add(int type, int value) => Add(type, MemoryMarshal.AsBytes(new ReadOnlySpan<int>(in value)));

    /// <summary>Adds an attribute with a number in the network's order.</summary>
    public NetlinkMessage AddBigEndian(int type, int value) => Add(type, BinaryPrimitives.ReverseEndianness(value));

    /// <summary>Adds an attribute with a text, ended by a zero byte.</summary>
    public NetlinkMessage Add(int type, string value) => Add(type, CString.From(value));

    /// <summary>Adds an attribute that holds others.</summary>
    /// <param name="type">Its type.</param>
    /// <param name="header">What comes before its attributes.</param>
    /// <param name="content">Adds them.</param>
    public NetlinkMessage Nest(int type, ReadOnlySpan<byte> header, Action<NetlinkMessage> content)
    {
        int start = _bytes.Count;
        Number16(0);
        Number16(type);
        _bytes.AddRange(header);
        Pad();
        content(this);
        Set16(start, _bytes.Count - start);
        return this;
    }

    /// <summary>The message as it is sent.</summary>
    public byte[] ToArray()
    {
        byte[] bytes = [.. _bytes];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, bytes.Length);
        return bytes;
    }

    private void Number16(int value)
    {
        _bytes.Add((byte)value);
        _bytes.Add((byte)(value >> 8));
    }

    private void Set16(int at, int value) => (_bytes[at], _bytes[at + 1]) = ((byte)value, (byte)(value >> 8));

    private void Pad()
    {
        while (_bytes.Count % Alignment != 0)
        {
            _bytes.Add(0);
        }
    }
}
