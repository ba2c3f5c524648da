using System.Text;

namespace CriuPS.Engine.Objects;

/// <summary>
/// Bytes of the kernel (names, paths) in text fields of images. A protobuf string must be UTF-8; bytes that are not become private-use characters
/// (U+F780 + byte), and come back as the same bytes.
/// </summary>
internal static class ImageText
{
    private const char FirstEscape = '\uF780';

    /// <summary>The text for some bytes.</summary>
    public static string Encode(ReadOnlySpan<byte> bytes)
    {
        StringBuilder text = new(bytes.Length);
        while (!bytes.IsEmpty)
        {
            if (Rune.DecodeFromUtf8(bytes, out Rune rune, out int used) == System.Buffers.OperationStatus.Done)
            {
                text.Append(rune.ToString());
                bytes = bytes[used..];
            }
            else
            {
                text.Append((char)(FirstEscape + bytes[0]));
                bytes = bytes[1..];
            }
        }

        return text.ToString();
    }

    /// <summary>The bytes of a text.</summary>
    public static byte[] Decode(string text)
    {
        using MemoryStream bytes = new(text.Length);
        Span<byte> buffer = stackalloc byte[4];
        foreach (Rune rune in text.EnumerateRunes())
        {
            if (rune.Value is >= FirstEscape + 0x80 and <= FirstEscape + 0xff)
            {
                bytes.WriteByte((byte)(rune.Value - FirstEscape));
            }
            else
            {
                bytes.Write(buffer[..rune.EncodeToUtf8(buffer)]);
            }
        }

        return bytes.ToArray();
    }
}
