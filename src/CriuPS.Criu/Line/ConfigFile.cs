using CriuPS.Engine.Errors;
using CriuPS.Engine.Options;

namespace CriuPS.Criu.Line;

/// <summary>
/// A configuration file: one option a line, its long name without dashes, then its value if it has one. <c>#</c> begins a comment; a
/// value in double quotes may hold spaces, and <c>\"</c> for a quote.
/// </summary>
internal static class ConfigFile
{
    /// <summary>Reads a file.</summary>
    /// <exception cref="CriuException">A line is not an option, or the file cannot be read.</exception>
    public static IReadOnlyList<NamedOption> Read(string path)
    {
        try
        {
            return Parse(File.ReadAllLines(path), path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            string reason = $"the configuration file {path} cannot be read: {e.Message}";
            throw new CriuException("ConfigUnreadable", CriuErrorKind.NotFound, reason, e) { Subject = path };
        }
    }

    /// <summary>Reads the lines of a file.</summary>
    public static IReadOnlyList<NamedOption> Parse(IReadOnlyList<string> lines, string path)
    {
        List<string> words = [];
        for (int i = 0; i < lines.Count; i++)
        {
            (string? name, string? value) = Statement(lines[i], $"{path}, line {i + 1}");
            if (name is not null)
            {
                // With '=', so that it is a value where an option may have one, and an error where it has none.
                words.Add(value is null ? $"--{name}" : $"--{name}={value}");
            }
        }

        return GetOpt.Split(words).Options;
    }

    private static (string? Name, string? Value) Statement(string line, string place)
    {
        string text = line.Trim();
        if (text.Length == 0 || text[0] == '#')
        {
            return default;
        }

        int end = text.AsSpan().IndexOfAny(" \t#");
        if (end < 0)
        {
            return (text, null);
        }

        string name = text[..end];
        if (name.Contains('='))
        {
            throw Wrong(place, $"'{name}' is followed by more");
        }

        string rest = text[end..].TrimStart();
        if (rest.Length == 0 || rest[0] == '#')
        {
            return (name, null);
        }

        return (name, rest[0] == '"' ? Quoted(rest, place) : Plain(rest, place));
    }

    private static string Plain(string text, string place)
    {
        int comment = text.IndexOf('#');
        string value = (comment < 0 ? text : text[..comment]).TrimEnd();
        return value.AsSpan().ContainsAny(" \t")
            ? throw Wrong(place, $"'{value}' has more than one word; put it in double quotes")
            : Unescape(value);
    }

    private static string Quoted(string text, string place)
    {
        int end = 1;
        while (end < text.Length && (text[end] != '"' || text[end - 1] == '\\'))
        {
            end++;
        }

        if (end >= text.Length)
        {
            throw Wrong(place, "a quote is not closed");
        }

        string rest = text[(end + 1)..].TrimStart();
        return rest is "" or ['#', ..] ? Unescape(text[1..end]) : throw Wrong(place, $"'{rest}' follows the value");
    }

    private static string Unescape(string value) => value.Replace("\\\"", "\"", StringComparison.Ordinal);

    private static CriuException Wrong(string place, string reason) =>
        new("BadConfig", CriuErrorKind.BadOption, $"{place}: {reason}") { Subject = place };
}
