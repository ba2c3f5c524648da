using System.Text;
using CriuPS.Engine.Errors;

namespace CriuPS.Engine.Proc;

/// <summary>Turns the whole text of a /proc file into a record.</summary>
/// <typeparam name="T">The record.</typeparam>
/// <param name="text">The file's bytes; valid only during the call.</param>
/// <param name="source">Where they come from, for the error if they are malformed.</param>
public delegate T ProcParser<out T>(ReadOnlySpan<byte> text, ProcSource source);

/// <summary>Where a text comes from; parsers carry it only to say so when the text is not what it should be.</summary>
/// <param name="Path">The file, e.g. <c>/proc/812/stat</c>, or the directory that <see cref="File"/> is in.</param>
/// <param name="Pid">The process, if the file belongs to one.</param>
public readonly record struct ProcSource(string Path, int? Pid)
{
    private const int ShownBytes = 80;

    /// <summary>The file's path below the directory; the whole is put together only when an error needs it.</summary>
    internal string? File { get; init; }

    /// <summary>The number that the file's path ends with, where it is one of many.</summary>
    internal int? Number { get; init; }

    /// <summary>The error for text that does not follow the file's format.</summary>
    /// <param name="expected">What should have been there.</param>
    /// <param name="found">What is there instead; the beginning of it is shown.</param>
    public CriuException Malformed(string expected, ReadOnlySpan<byte> found)
    {
        string shown = Encoding.Latin1.GetString(found[..Math.Min(found.Length, ShownBytes)]).ReplaceLineEndings("\\n");
        string? path = File is null ? Path : $"{Path}/{File}{Number}";
        return new CriuException("MalformedProc", CriuErrorKind.InvalidData, $"{path ?? "text"}: expected {expected}, found '{shown}'")
        {
            Pid = Pid,
            Subject = path,
            Remedy = "this kernel writes the file in a way that is not known; please report it together with the kernel's version",
        };
    }
}
