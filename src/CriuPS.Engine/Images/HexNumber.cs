using System.Globalization;

namespace CriuPS.Engine.Images;

/// <summary>An address, a mask or a register: a number that people read in hexadecimal and still can count with.</summary>
/// <param name="Value">The number.</param>
public readonly record struct HexNumber(ulong Value) : IComparable<HexNumber>, IComparable
{
    public static implicit operator HexNumber(ulong value) => new(value);

    // A script that compares an address with 0x1000 compares it with an int.
    public static implicit operator HexNumber(int value) => new((ulong)(long)value);

    public static implicit operator HexNumber(long value) => new((ulong)value);

    public static implicit operator ulong(HexNumber number) => number.Value;

    public static explicit operator long(HexNumber number) => (long)number.Value;

    /// <summary>The distance between two addresses.</summary>
    public static long operator -(HexNumber left, HexNumber right) => (long)(left.Value - right.Value);

    public static bool operator <(HexNumber left, HexNumber right) => left.Value < right.Value;

    public static bool operator >(HexNumber left, HexNumber right) => left.Value > right.Value;

    public static bool operator <=(HexNumber left, HexNumber right) => left.Value <= right.Value;

    public static bool operator >=(HexNumber left, HexNumber right) => left.Value >= right.Value;

    /// <inheritdoc/>
    public int CompareTo(HexNumber other) => Value.CompareTo(other.Value);

    /// <inheritdoc/>
    public int CompareTo(object? obj) => obj is HexNumber other ? CompareTo(other) : obj is null ? 1 : throw NoNumber(obj);

    /// <summary>The number as <c>0x7f</c>.</summary>
    public override string ToString() => "0x" + Value.ToString("x", CultureInfo.InvariantCulture);

    private static ArgumentException NoNumber(object obj) => new($"{obj} is no {nameof(HexNumber)}", nameof(obj));
}
