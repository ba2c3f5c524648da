using System.IO.Enumeration;
using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Objects.Files;

/// <summary>Patterns of paths: * stands for anything, ? for one character.</summary>
internal static class PathPattern
{
    /// <summary>Whether a path fits.</summary>
    public static bool Fits(string pattern, ReadOnlySpan<byte> path) =>
        FileSystemName.MatchesSimpleExpression(pattern, new OsText(path).ToString(), ignoreCase: false);
}
