using System.Diagnostics.CodeAnalysis;

namespace CriuPS.Engine.Proc;

/// <summary>Walks over the text of a /proc file from left to right; whatever is not as expected throws.</summary>
internal ref struct ProcCursor
{
    private readonly ProcSource _source;
    private ReadOnlySpan<byte> _rest;

    public ProcCursor(ReadOnlySpan<byte> text, ProcSource source)
    {
        _rest = text;
        _source = source;
    }

    /// <summary>What has not been read yet.</summary>
    public readonly ReadOnlySpan<byte> Rest => _rest;

    /// <summary>Whether everything has been read.</summary>
    public readonly bool AtEnd => _rest.IsEmpty;

    /// <summary>Where the text comes from.</summary>
    public readonly ProcSource Source => _source;

    /// <summary>Takes the next line, without its newline, as a cursor of its own; a last line may lack the newline.</summary>
    public ProcCursor Line()
    {
        int end = _rest.IndexOf((byte)'\n');
        ReadOnlySpan<byte> line = end < 0 ? _rest : _rest[..end];
        _rest = end < 0 ? default : _rest[(end + 1)..];
        return new ProcCursor(line, _source);
    }

    /// <summary>Passes over spaces and tabs, if there are any.</summary>
    public void SkipBlanks()
    {
        ReadOnlySpan<byte> rest = _rest;
        int i = 0;
        while (i < rest.Length && rest[i] is (byte)' ' or (byte)'\t')
        {
            i++;
        }

        _rest = rest[i..];
    }

    /// <summary>Takes bytes up to a separator, and the separator.</summary>
    public ReadOnlySpan<byte> Until(byte separator, string expected)
    {
        int end = _rest.IndexOf(separator);
        if (end < 0)
        {
            Fail(expected);
        }

        ReadOnlySpan<byte> taken = _rest[..end];
        _rest = _rest[(end + 1)..];
        return taken;
    }

    /// <summary>Passes over blanks, then takes bytes up to the next blank or the end; at least one.</summary>
    public ReadOnlySpan<byte> Word(string expected)
    {
        SkipBlanks();
        int end = _rest.IndexOfAny((byte)' ', (byte)'\t', (byte)'\n');
        end = end < 0 ? _rest.Length : end;
        if (end == 0)
        {
            Fail(expected);
        }

        ReadOnlySpan<byte> taken = _rest[..end];
        _rest = _rest[end..];
        return taken;
    }

    /// <summary>Takes exactly this text.</summary>
    public void Expect(scoped ReadOnlySpan<byte> text, string expected)
    {
        if (!TryTake(text))
        {
            Fail(expected);
        }
    }

    /// <summary>Takes this text if it is next.</summary>
    public bool TryTake(scoped ReadOnlySpan<byte> text)
    {
        if (!_rest.StartsWith(text))
        {
            return false;
        }

        _rest = _rest[text.Length..];
        return true;
    }

    /// <summary>Passes over blanks, then takes an unsigned decimal number.</summary>
    public ulong Decimal(string expected) => Number(10, expected);

    /// <summary>Passes over blanks, then takes a hexadecimal number without prefix.</summary>
    public ulong Hex(string expected) => Number(16, expected);

    /// <summary>Passes over blanks, then takes an octal number; a leading zero is only a digit.</summary>
    public ulong Octal(string expected) => Number(8, expected);

    /// <summary>Passes over blanks, then takes a decimal number that may be negative.</summary>
    public long SignedDecimal(string expected)
    {
        SkipBlanks();
        bool negative = TryTake("-"u8);
        ulong magnitude = Number(10, expected);
        if (magnitude > long.MaxValue + (negative ? 1UL : 0UL))
        {
            Fail(expected);
        }

        return negative ? unchecked(-(long)magnitude) : (long)magnitude;
    }

    /// <summary>As <see cref="Decimal"/>, for a number that must fit an int.</summary>
    public int SmallDecimal(string expected)
    {
        long value = SignedDecimal(expected);
        if (value is < int.MinValue or > int.MaxValue)
        {
            Fail(expected);
        }

        return (int)value;
    }

    /// <summary>As <see cref="Decimal"/>, for a number that must fit an unsigned int (uids, 32-bit masks).</summary>
    public uint UnsignedDecimal(string expected)
    {
        ulong value = Decimal(expected);
        if (value > uint.MaxValue)
        {
            Fail(expected);
        }

        return (uint)value;
    }

    /// <summary>As <see cref="Hex"/>, for a number that must fit an unsigned int.</summary>
    public uint SmallHex(string expected)
    {
        ulong value = Hex(expected);
        if (value > uint.MaxValue)
        {
            Fail(expected);
        }

        return (uint)value;
    }

    /// <summary>Requires that nothing but blanks is left.</summary>
    public void End(string expected)
    {
        SkipBlanks();
        if (!AtEnd)
        {
            Fail(expected);
        }
    }

    /// <summary>Throws: the rest is not what was expected.</summary>
    [DoesNotReturn]
    public readonly void Fail(string expected) => throw _source.Malformed(expected, _rest);

    private ulong Number(uint radix, string expected)
    {
        SkipBlanks();
        ReadOnlySpan<byte> rest = _rest;
        ulong value = 0;
        uint digit = 0;
        int i = 0;
        for (; i < rest.Length && (digit = DigitOf(rest[i])) < radix; i++)
        {
            // The division is slow, and below this bound no digit of a radix up to 16 can overflow.
            if (value >> 60 != 0 && value > (ulong.MaxValue - digit) / radix)
            {
                Fail(expected);
            }

            value = (value * radix) + digit;
        }

        // A digit of a larger radix, or a letter, right behind it means that this was no number of this radix.
        if (i == 0 || (i < rest.Length && char.IsAsciiLetterOrDigit((char)rest[i])))
        {
            Fail(expected);
        }

        _rest = rest[i..];
        return value;
    }

    // Two comparisons; letters of both cases meet at the lower one.
    private static uint DigitOf(byte c)
    {
        uint digit = (uint)c - '0';
        return digit < 10 ? digit : ((uint)c | 0x20) - 'a' is var letter && letter < 6 ? letter + 10 : uint.MaxValue;
    }
}
