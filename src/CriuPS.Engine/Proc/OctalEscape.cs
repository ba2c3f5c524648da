namespace CriuPS.Engine.Proc;

/// <summary>The escapes of mountinfo: a backslash and three octal digits for blank, tab, newline, backslash and #.</summary>
internal static class OctalEscape
{
    private const int EscapeLength = 4;

    /// <summary>Turns escapes back into bytes; a backslash that begins none stays.</summary>
    public static OsText Decode(ReadOnlySpan<byte> text)
    {
        if (!text.Contains((byte)'\\'))
        {
            return new OsText(text);
        }

        byte[] bytes = new byte[text.Length];
        int length = 0;
        while (!text.IsEmpty)
        {
            bool escaped = IsEscape(text);
            bytes[length++] = escaped ? (byte)(((text[1] - '0') << 6) | ((text[2] - '0') << 3) | (text[3] - '0')) : text[0];
            text = text[(escaped ? EscapeLength : 1)..];
        }

        return new OsText(bytes.AsSpan(0, length));
    }

    private static bool IsEscape(ReadOnlySpan<byte> text) =>
        text.Length >= EscapeLength && text[0] == '\\' && text[1] is >= (byte)'0' and <= (byte)'3'
        && text[2] is >= (byte)'0' and <= (byte)'7' && text[3] is >= (byte)'0' and <= (byte)'7';
}
