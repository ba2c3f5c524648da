namespace CriuPS.Engine.Proc;

/// <summary>The <c>Key:</c> that begins a line of many /proc files.</summary>
internal static class ProcKey
{
    /// <summary>Takes key and colon off a line; the key is widened so that a <c>switch</c> can compare it without a string.</summary>
    /// <param name="line">The line; moves behind the colon.</param>
    /// <param name="buffer">Takes the key.</param>
    /// <returns>The key's length.</returns>
    public static int Take(ref ProcCursor line, scoped Span<char> buffer)
    {
        int end = line.Rest.IndexOf((byte)':');
        if (end < 0 || end > buffer.Length)
        {
            line.Fail("a key and a colon");
        }

        ReadOnlySpan<byte> key = line.Until((byte)':', "a key and a colon");
        for (int i = 0; i < key.Length; i++)
        {
            buffer[i] = (char)key[i];
        }

        return key.Length;
    }
}
