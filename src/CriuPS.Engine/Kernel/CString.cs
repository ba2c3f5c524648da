using System.Buffers.Text;
using System.Text;

namespace CriuPS.Engine.Kernel;

/// <summary>Text as system calls take it: bytes ended by a zero byte.</summary>
internal static class CString
{
    /// <summary>A text in UTF-8, ended by a zero byte.</summary>
    public static byte[] From(string text)
    {
        byte[] bytes = new byte[Encoding.UTF8.GetByteCount(text) + 1];
        Encoding.UTF8.GetBytes(text, bytes);
        return bytes;
    }

    /// <summary>A text in UTF-8, ended by a zero byte, in a buffer if it has room for it.</summary>
    public static ReadOnlySpan<byte> From(string text, Span<byte> buffer)
    {
        if (!Encoding.UTF8.TryGetBytes(text, buffer[..^1], out int length))
        {
            return From(text);
        }

        buffer[length] = 0;
        return buffer[..(length + 1)];
    }

    /// <summary>A text in UTF-8 and a number in decimal digits, ended by a zero byte, in a buffer that has room for them.</summary>
    public static ReadOnlySpan<byte> From(string text, int number, Span<byte> buffer)
    {
        int length = Encoding.UTF8.GetBytes(text, buffer);
        Utf8Formatter.TryFormat(number, buffer[length..^1], out int digits);
        buffer[length + digits] = 0;
        return buffer[..(length + digits + 1)];
    }

    /// <summary>Raw bytes (a path may have any but zero), ended by a zero byte.</summary>
    public static byte[] From(ReadOnlySpan<byte> text)
    {
        byte[] bytes = new byte[text.Length + 1];
        text.CopyTo(bytes);
        return bytes;
    }
}
