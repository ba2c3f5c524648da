using System.Globalization;
using CriuPS.Engine.Errors;

namespace CriuPS.Engine.Options;

/// <summary>Reading the values of options.</summary>
internal static class OptionValues
{
    /// <summary>A whole number.</summary>
    public static int Number(string option, string text, int least = int.MinValue, int most = int.MaxValue) =>
        int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int number) && number >= least && number <= most
            ? number
            : throw Wrong(option, text, (least, most) switch
            {
                (int.MinValue, int.MaxValue) => "a number",
                (_, int.MaxValue) => $"a number from {least}",
                _ => $"a number from {least} to {most}",
            });

    /// <summary>A number of bytes; K, M and G are powers of 1024.</summary>
    public static long Size(string option, string text)
    {
        int shift = text.Length == 0 ? 0 : text[^1] switch { 'K' => 10, 'M' => 20, 'G' => 30, _ => 0 };
        ReadOnlySpan<char> digits = shift == 0 ? text : text.AsSpan(0, text.Length - 1);
        return long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out long number) && number <= long.MaxValue >> shift
            ? number << shift
            : throw Wrong(option, text, "a size, such as 1048576, 1024K or 1M");
    }

    /// <summary>One of some words.</summary>
    public static T Choice<T>(string option, string text, params ReadOnlySpan<(string Word, T Value)> choices)
    {
        foreach ((string word, T value) in choices)
        {
            if (word == text)
            {
                return value;
            }
        }

        List<string> words = [];
        foreach ((string word, _) in choices)
        {
            words.Add(word);
        }

        throw Wrong(option, text, words is [var only] ? only : string.Join(", ", words[..^1]) + " or " + words[^1]);
    }

    /// <summary>Two texts around a separator.</summary>
    public static KeyValuePair<string, string> Pair(string option, string text, char separator)
    {
        int at = text.IndexOf(separator);
        return at < 0 ? throw Wrong(option, text, $"two names with '{separator}' between") : new(text[..at], text[(at + 1)..]);
    }

    /// <summary>A descriptor of ours and what it replaces: <c>fd[N]:resource</c>.</summary>
    public static InheritedDescriptor Inherited(string option, string text)
    {
        int end = text.IndexOf("]:", StringComparison.Ordinal);
        return text.StartsWith("fd[", StringComparison.Ordinal) && end > 3 && end + 2 < text.Length
            && int.TryParse(text.AsSpan(3, end - 3), NumberStyles.None, CultureInfo.InvariantCulture, out int descriptor)
            ? new InheritedDescriptor(descriptor, text[(end + 2)..])
            : throw Wrong(option, text, "fd[NUMBER]:RESOURCE");
    }

    /// <summary>A namespace to join: <c>kind:target[,extra]</c>.</summary>
    public static JoinedNamespace Joined(string option, string text)
    {
        (string kind, string rest) = Pair(option, text, ':');
        Choice(option, kind, ("net", 0), ("ipc", 0), ("uts", 0), ("user", 0), ("time", 0), ("mnt", 0));
        int comma = rest.IndexOf(',');
        return comma < 0 ? new(kind, rest, null) : new(kind, rest[..comma], rest[(comma + 1)..]);
    }

    /// <summary>A change of capabilities: names with commas between, <c>^</c> before one takes it away.</summary>
    public static CpuCapabilities Capabilities(string option, string? text, CpuCapabilities now)
    {
        if (text is null)
        {
            return now | CpuCapabilities.All | CpuCapabilities.Image;
        }

        if (uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out uint bits))
        {
            return (CpuCapabilities)bits;
        }

        foreach (string word in text.Split(',', StringSplitOptions.RemoveEmptyEntries))
        {
            bool without = word.TakeWhile(c => c == '^').Count() % 2 != 0;
            string name = word.TrimStart('^');
            CpuCapabilities part = Choice(
                option, name, ("fpu", CpuCapabilities.Fpu), ("cpu", CpuCapabilities.Cpu), ("ins", CpuCapabilities.Instructions),
                ("all", CpuCapabilities.All), ("none", CpuCapabilities.None));
            now = (name, without) switch
            {
                ("none", true) => CpuCapabilities.All,
                ("none", false) => CpuCapabilities.None,
                (_, true) => now & ~part,
                _ => now | part,
            };
        }

        return now == CpuCapabilities.None ? now : now | CpuCapabilities.Image;
    }

    /// <summary>Inodes with commas between.</summary>
    public static IEnumerable<uint> Inodes(string option, string text) =>
        text.Split(',').Select(word => uint.TryParse(word, NumberStyles.None, CultureInfo.InvariantCulture, out uint inode) && inode != 0
            ? inode
            : throw Wrong(option, text, "inode numbers with commas between"));

    /// <summary>The error for a value that means nothing.</summary>
    public static CriuException Wrong(string option, string text, string expected) =>
        new("BadOptionValue", CriuErrorKind.BadOption, $"option --{option}: '{text}' is not {expected}") { Subject = $"--{option}" };
}
