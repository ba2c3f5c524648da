using System.Text;

namespace CriuPS.Engine.Proc;

/// <summary>
/// Text as the kernel keeps it: bytes that are nobody's encoding. Names of processes, paths and arguments may hold any byte but zero,
/// so nothing that has to be made again may go through a <see cref="string"/>.
/// </summary>
public readonly struct OsText : IEquatable<OsText>
{
    private readonly byte[]? _bytes;

    /// <param name="bytes">The bytes; they are copied.</param>
    public OsText(ReadOnlySpan<byte> bytes) => _bytes = bytes.IsEmpty ? null : bytes.ToArray();

    /// <param name="text">A text, taken as UTF-8.</param>
    public OsText(string text)
        : this(Encoding.UTF8.GetBytes(text))
    {
    }

    /// <summary>The bytes, without a closing zero.</summary>
    public ReadOnlySpan<byte> Bytes => _bytes;

    /// <summary>Number of bytes.</summary>
    public int Length => _bytes?.Length ?? 0;

    /// <summary>Whether there is nothing.</summary>
    public bool IsEmpty => _bytes is null;

    public static bool operator ==(OsText left, OsText right) => left.Equals(right);

    public static bool operator !=(OsText left, OsText right) => !left.Equals(right);

    /// <summary>Whether the bytes begin with these.</summary>
    public bool StartsWith(ReadOnlySpan<byte> prefix) => Bytes.StartsWith(prefix);

    /// <summary>Whether the bytes end with these.</summary>
    public bool EndsWith(ReadOnlySpan<byte> suffix) => Bytes.EndsWith(suffix);

    /// <inheritdoc/>
    public bool Equals(OsText other) => Bytes.SequenceEqual(other.Bytes);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is OsText other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode()
    {
        var hash = new HashCode();
        hash.AddBytes(Bytes);
        return hash.ToHashCode();
    }

    /// <summary>The bytes read as UTF-8; what is not UTF-8 becomes U+FFFD.</summary>
    public override string ToString() => Encoding.UTF8.GetString(Bytes);

    /// <summary>The text on one line and safe for a terminal: control characters become <c>\n</c>, <c>\t</c> or <c>\x1b</c>.</summary>
    public string ToDisplayString()
    {
        string text = ToString();
        bool safe = text.AsSpan().IndexOfAnyInRange('\0', '\x1f') < 0 && text.AsSpan().IndexOfAnyInRange('\x7f', '\x9f') < 0;
        return safe ? text : Escape(text);
    }

    private static string Escape(string text)
    {
        var line = new StringBuilder(text.Length + 8);
        foreach (char c in text)
        {
            _ = c switch
            {
                '\n' => line.Append("\\n"),
                '\t' => line.Append("\\t"),
                _ when char.IsControl(c) => line.Append($"\\x{(int)c:x2}"),
                _ => line.Append(c),
            };
        }

        return line.ToString();
    }
}
