using System.Text;
using CriuPS.Engine.Errors;

namespace CriuPS.Criu.Line;

/// <summary>
/// The text of an error for people who use options and not cmdlets: the engine names an option as cmdlets do, -ShellJob, and every such
/// name is the option's in other letters: --shell-job.
/// </summary>
internal static class Spelling
{
    /// <summary>One line: what is wrong, and what would help.</summary>
    public static string Describe(Exception failure)
    {
        bool hasRemedy = failure is CriuException { Remedy: not null } and not RefusedException;
        return OptionNames(hasRemedy ? $"{failure.Message}; {((CriuException)failure).Remedy}" : failure.Message);
    }

    /// <summary>Writes -ShellJob as --shell-job.</summary>
    public static string OptionNames(string text)
    {
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
}
