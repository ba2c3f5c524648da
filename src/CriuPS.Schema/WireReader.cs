using System.Buffers.Binary;

namespace CriuPS.Engine.Images.Schema;

/// <summary>A message that reads itself from bytes in memory, if they are what its schema says.</summary>
public interface IWireMessage
{
    /// <summary>Sets the fields of a new message.</summary>
    /// <param name="bytes">The whole message.</param>
    /// <returns>False where there is something else among them, or something is wrong: then the library knows what is to be done, with another new message.</returns>
    bool TryRead(ReadOnlySpan<byte> bytes);
}

/// <summary>The wire format of Protocol Buffers in memory (https://protobuf.dev/programming-guides/encoding/).</summary>
public ref struct WireReader(ReadOnlySpan<byte> bytes)
{
    private const int LongestVarint = 10;

    private ReadOnlySpan<byte> _rest = bytes;

    /// <summary>Whether there is no more, or what there is is broken.</summary>
    public readonly bool IsAtEnd => _rest.IsEmpty;

    /// <summary>Whether bytes were missing, or a number had no end.</summary>
    public bool IsBroken { get; private set; }

    /// <summary>A number of seven bits in each byte.</summary>
    public ulong Varint()
    {
        if (_rest.Length > 0 && _rest[0] < 0x80)
        {
            ulong small = _rest[0];
            _rest = _rest[1..];
            return small;
        }

        return LongVarint();
    }

    /// <summary>Bytes after their number.</summary>
    public ReadOnlySpan<byte> Bytes()
    {
        ulong length = Varint();
        return length <= (ulong)_rest.Length ? Take((int)length) : Break();
    }

    /// <summary>Four bytes.</summary>
    public uint Fixed32() => _rest.Length >= sizeof(uint) ? BinaryPrimitives.ReadUInt32LittleEndian(Take(sizeof(uint))) : (uint)Break().Length;

    /// <summary>Eight bytes.</summary>
    public ulong Fixed64() => _rest.Length >= sizeof(ulong) ? BinaryPrimitives.ReadUInt64LittleEndian(Take(sizeof(ulong))) : (ulong)Break().Length;

    /// <summary>A number whose lowest bit is its sign.</summary>
    public static long Signed(ulong number) => (long)(number >> 1) ^ -(long)(number & 1);

    private ulong LongVarint()
    {
        ulong number = 0;
        for (int i = 0; i < Math.Min(_rest.Length, LongestVarint); i++)
        {
            number |= (ulong)(_rest[i] & 0x7f) << (7 * i);
            if (_rest[i] < 0x80)
            {
                _rest = _rest[(i + 1)..];
                return number;
            }
        }

        return (ulong)Break().Length;
    }

    private ReadOnlySpan<byte> Take(int length)
    {
        ReadOnlySpan<byte> taken = _rest[..length];
        _rest = _rest[length..];
        return taken;
    }

    private ReadOnlySpan<byte> Break()
    {
        IsBroken = true;
        return _rest = default;
    }
}
