using System.Globalization;
using System.Text;

namespace CriuPS.Engine.Images;

/// <summary>
/// Quoted-printable text (RFC 2045, section 6.7): bytes that are printable stand for themselves, others are <c>=</c> and two hex digits. Lines
/// are cut with <c>=</c> so that none has more than 76 characters; line feeds stand for themselves.
/// </summary>
internal static class QuotedPrintable
{
    private const int LineLength = 76;

    /// <summary>Bytes to text.</summary>
    public static string Encode(ReadOnlySpan<byte> bytes)
    {
        var text = new StringBuilder();
        int column = 0;
        for (int i = 0; i < bytes.Length; i++)
        {
            bool lastOfLine = i + 1 == bytes.Length || bytes[i + 1] == '\n';
            if (bytes[i] == '\n')
            {
                text.Append('\n');
                column = 0;
                continue;
            }

            bool plain = IsPlain(bytes[i], lastOfLine) && !(bytes[i] == '.' && column == 0 && (lastOfLine || bytes[i + 1] is 0 or (byte)'\r'));
            int width = plain ? 1 : 3;
            if (column + width >= LineLength && !(plain && lastOfLine))
            {
                text.Append("=\n");
                column = 0;
            }

            _ = plain ? text.Append((char)bytes[i]) : text.Append($"={bytes[i]:X2}");
            column += width;
        }

        return text.ToString();
    }

    /// <summary>Text to bytes; what is no valid escape stands for itself.</summary>
    public static byte[] Decode(string text)
    {
        var bytes = new List<byte>(text.Length);
        for (int i = 0; i < text.Length; i++)
        {
            if (text[i] != '=')
            {
                bytes.AddRange(Encoding.UTF8.GetBytes(text, i, 1));
            }
            else if (i + 1 < text.Length && text[i + 1] == '\n')
            {
                i++;
            }
            else if (i + 2 < text.Length && byte.TryParse(text.AsSpan(i + 1, 2), NumberStyles.AllowHexSpecifier, null, out byte value))
            {
                bytes.Add(value);
                i += 2;
            }
            else
            {
                bytes.Add((byte)'=');
            }
        }

        return [.. bytes];
    }

    private static bool IsPlain(byte value, bool lastOfLine) =>
        value is >= 33 and <= 126 and not (byte)'=' || value == '\r' || (value is (byte)' ' or (byte)'\t' && !lastOfLine);
}
