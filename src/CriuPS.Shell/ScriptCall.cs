using System.Management.Automation.Language;
using System.Text;
using System.Text.RegularExpressions;

namespace CriuPS.Shell;

/// <summary>The call of a script file with the arguments of a command line, as PowerShell text.</summary>
public static partial class ScriptCall
{
    /// <summary>
    /// Builds the text. <c>-Name</c> and <c>-Name:value</c> are parameters, everything else is a value.
    /// </summary>
    /// <remarks>
    /// Inside a script file <c>exit N</c> ends only that file: it leaves N in $LASTEXITCODE and makes the call a failed one if N is
    /// not 0. A native command leaves its code there too, but the call has then succeeded.
    /// </remarks>
    public static string TextFor(string path, IReadOnlyList<string> arguments)
    {
        var text = new StringBuilder($"& {Quoted(path)}");
        foreach (var argument in arguments)
        {
            text.Append(' ').Append(Argument(argument));
        }

        return text.Append("; if (-not $?) { exit $LASTEXITCODE }").ToString();
    }

    private static string Argument(string argument)
    {
        var match = ParameterName().Match(argument);
        if (!match.Success)
        {
            return Quoted(argument);
        }

        var value = argument[match.Length..];
        var isBoolean = value.Equals("$true", StringComparison.OrdinalIgnoreCase) || value.Equals("$false", StringComparison.OrdinalIgnoreCase);
        return match.Value + (value.Length == 0 || isBoolean ? value : Quoted(value));
    }

    private static string Quoted(string text) => $"'{CodeGeneration.EscapeSingleQuotedStringContent(text)}'";

    [GeneratedRegex(@"^-[A-Za-z]\w*(:|$)")]
    private static partial Regex ParameterName();
}
