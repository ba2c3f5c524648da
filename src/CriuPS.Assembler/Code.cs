using Iced.Intel;

namespace CriuPS.Assembler;

/// <summary>Turns assembled instructions into bytes.</summary>
internal static class Code
{
    /// <summary>The position-independent bytes of what was assembled.</summary>
    public static byte[] Bytes(Iced.Intel.Assembler assembler)
    {
        using var stream = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(stream), 0);
        return stream.ToArray();
    }
}
