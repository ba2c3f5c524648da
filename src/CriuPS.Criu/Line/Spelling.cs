using System.Text;
using System.Text.RegularExpressions;
using CriuPS.Engine.Errors;

namespace CriuPS.Criu.Line;

/// <summary>
/// The text of an error for people who use options and not cmdlets: the engine names an option as cmdlets do, -ShellJob, and every such
/// name is the option's in other letters: --shell-job. Where the option is called otherwise, its own name stands behind the other in brackets.
/// </summary>
internal static partial class Spelling
{
    /// <summary>One line: what is wrong, and what would help.</summary>
    public static string Describe(Exception failure)
    {
        bool hasRemedy = failure is CriuException { Remedy: not null } and not RefusedException;
        return OptionNames(hasRemedy ? $"{failure.Message}; {((CriuException)failure).Remedy}" : failure.Message);
    }

    /// <summary>Writes -ShellJob as --shell-job, and -CpuCapability (--cpu-cap) as --cpu-cap.</summary>
    public static string OptionNames(string text)
    {
        text = BothNames().Replace(text, "$1");
        StringBuilder result = new(text.Length + 8);
        bool inName = false;
        for (int i = 0; i < text.Length; i++)
        {
            char c = text[i];
            bool begins = c == '-' && i + 2 < text.Length && char.IsAsciiLetterUpper(text[i + 1]) && char.IsAsciiLetterLower(text[i + 2])
                && (i == 0 || text[i - 1] is ' ' or '(' or '\'');
            inName = begins || (inName && char.IsAsciiLetter(c));
            if (!inName || begins)
            {
                result.Append(begins ? "-" : c.ToString());
                continue;
            }

            result.Append(char.IsAsciiLetterUpper(c) ? $"-{char.ToLowerInvariant(c)}" : c.ToString());
        }

        return result.ToString();
    }

    [GeneratedRegex(@"-[A-Z]\w+ \((--[a-z][a-z-]+)\)")]
    private static partial Regex BothNames();
}
