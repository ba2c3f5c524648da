namespace CriuPS.Engine.Proc;

/// <summary>
/// What the kernel writes behind the last name of a file that has lost it (fs/d_path.c, d_path). A file may be called so, too: the mark alone proves nothing.
/// </summary>
internal static class DeletedMark
{
    private static ReadOnlySpan<byte> Text => " (deleted)"u8;

    /// <summary>Whether it stands behind a name.</summary>
    public static bool IsBehind(ReadOnlySpan<byte> name) => name.EndsWith(Text);

    /// <summary>The name without it.</summary>
    public static ReadOnlySpan<byte> CutFrom(ReadOnlySpan<byte> name) => IsBehind(name) ? name[..^Text.Length] : name;
}
