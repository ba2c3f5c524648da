using System.Text;
using CriuPS.Engine.Errors;

namespace CriuPS.Engine.Proc;

/// <summary>Turns the whole text of a /proc file into a record.</summary>
/// <typeparam name="T">The record.</typeparam>
/// <param name="text">The file's bytes; valid only during the call.</param>
/// <param name="source">Where they come from, for the error if they are malformed.</param>
public delegate T ProcParser<out T>(ReadOnlySpan<byte> text, ProcSource source);

/// <summary>Where a text comes from; parsers carry it only to say so when the text is not what it should be.</summary>
/// <param name="Path">The file, e.g. <c>/proc/812/stat</c>.</param>
/// <param name="Pid">The process, if the file belongs to one.</param>
public readonly record struct ProcSource(string Path, int? Pid)
{
    private const int ShownBytes = 80;

    /// <summary>The error for text that does not follow the file's format.</summary>
    /// <param name="expected">What should have been there.</param>
    /// <param name="found">What is there instead; the beginning of it is shown.</param>
    public CriuException Malformed(string expected, ReadOnlySpan<byte> found)
    {
        string shown = Encoding.Latin1.GetString(found[..Math.Min(found.Length, ShownBytes)]).ReplaceLineEndings("\\n");
        return new CriuException("MalformedProc", CriuErrorKind.InvalidData, $"{Path ?? "text"}: expected {expected}, found '{shown}'")
        {
            Pid = Pid,
            Subject = Path,
            Remedy = "this kernel writes the file in a way that is not known; please report it together with the kernel's version",
        };
    }
}
