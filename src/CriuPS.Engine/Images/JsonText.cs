using System.Globalization;
using System.Text;
using System.Text.Json;

namespace CriuPS.Engine.Images;

/// <summary>Text in JSON whose bytes need not be UTF-8: lone surrogates U+DC80 to U+DCFF stand for single bytes.</summary>
internal static class JsonText
{
    /// <summary>The bytes of a JSON string.</summary>
    /// <exception cref="FormatException">It is no string, or has another lone surrogate.</exception>
    public static byte[] Bytes(JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.String)
        {
            throw new FormatException($"'{value.GetRawText()}' is no text");
        }

        var bytes = new List<byte>();
        Span<byte> utf8 = stackalloc byte[4];
        string text = Unescape(value.GetRawText().AsSpan()[1..^1]);
        for (int i = 0; i < text.Length;)
        {
            if (Rune.TryGetRuneAt(text, i, out Rune rune))
            {
                bytes.AddRange(utf8[..rune.EncodeToUtf8(utf8)]);
                i += rune.Utf16SequenceLength;
                continue;
            }

            bytes.Add(text[i] is >= '\udc80' and <= '\udcff' ? (byte)text[i++] : throw new FormatException("a lone surrogate stands for no byte"));
        }

        return [.. bytes];
    }

    // JsonElement.GetString refuses lone surrogates, so the escapes are taken apart here; the parser has checked their form.
    private static string Unescape(ReadOnlySpan<char> raw)
    {
        var text = new StringBuilder(raw.Length);
        while (!raw.IsEmpty)
        {
            int plain = raw.IndexOf('\\') is >= 0 and var index ? index : raw.Length;
            text.Append(raw[..plain]);
            raw = raw[plain..];
            if (raw.IsEmpty)
            {
                break;
            }

            int length = raw[1] == 'u' ? 6 : 2;
            text.Append(raw[1] switch
            {
                'u' => (char)ushort.Parse(raw[2..6], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture),
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                'b' => '\b',
                'f' => '\f',
                char other => other,
            });
            raw = raw[length..];
        }

        return text.ToString();
    }
}
