namespace CriuPS.Engine.Compel;

/// <summary>Machine code that was assembled when the engine was built.</summary>
internal static class EmbeddedCode
{
    public static byte[] Load(string name)
    {
        using Stream stream = typeof(EmbeddedCode).Assembly.GetManifestResourceStream(name)
            ?? throw new InvalidOperationException($"the engine was built without {name}");
        byte[] code = new byte[stream.Length];
        stream.ReadExactly(code);
        return code;
    }
}
