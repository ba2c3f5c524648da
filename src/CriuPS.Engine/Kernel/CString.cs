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

    /// <summary>Raw bytes (a path may have any but zero), ended by a zero byte.</summary>
    public static byte[] From(ReadOnlySpan<byte> text)
    {
        byte[] bytes = new byte[text.Length + 1];
        text.CopyTo(bytes);
        return bytes;
    }
}
