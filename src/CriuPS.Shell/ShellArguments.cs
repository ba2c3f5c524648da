namespace CriuPS.Shell;

/// <summary>What the shell was asked to run.</summary>
public enum ShellMode
{
    /// <summary>Commands are read from the terminal or from standard input.</summary>
    Prompt,

    /// <summary>A text of commands.</summary>
    Command,

    /// <summary>A script file with arguments.</summary>
    File,
}

/// <summary>The command line cannot be understood.</summary>
public sealed class ShellUsageException(string message) : Exception(message);

/// <summary>The command line, as <c>pwsh</c> would read the part of it that we share.</summary>
public sealed record ShellArguments
{
    /// <summary>The one line that tells how to call us.</summary>
    public const string Usage = "usage: criups [-Command TEXT | [-File] SCRIPT [ARGS...]]";

    /// <summary>What to run.</summary>
    public ShellMode Mode { get; private init; }

    /// <summary>The commands or the path of the script.</summary>
    public string? Text { get; private init; }

    /// <summary>What follows the script's path, untouched.</summary>
    public IReadOnlyList<string> ScriptArguments { get; private init; } = [];

    /// <summary>The manifest to import first; null for none.</summary>
    public string? ModulePath { get; private init; }

    /// <summary>Reads a command line.</summary>
    /// <exception cref="ShellUsageException">It has an unknown option or lacks a value.</exception>
    public static ShellArguments Parse(string[] args)
    {
        string? module = null;
        for (var i = 0; i < args.Length; i++)
        {
            if (!args[i].StartsWith('-'))
            {
                return File(args[i], args[(i + 1)..], module);
            }

            switch (args[i].ToLowerInvariant())
            {
                case "-module":
                    module = ValueOf(args, i++);
                    break;
                case "-noprofile" or "-nologo":
                    break;
                case "-c" or "-command":
                    // As in pwsh, everything that follows belongs to the text.
                    ValueOf(args, i);
                    return new ShellArguments { Mode = ShellMode.Command, Text = string.Join(' ', args[(i + 1)..]), ModulePath = module };
                case "-f" or "-file":
                    return File(ValueOf(args, i), args[(i + 2)..], module);
                default:
                    throw new ShellUsageException($"unknown option {args[i]}");
            }
        }

        return new ShellArguments { Mode = ShellMode.Prompt, ModulePath = module };
    }

    private static ShellArguments File(string path, string[] rest, string? module) =>
        new() { Mode = ShellMode.File, Text = path, ScriptArguments = rest, ModulePath = module };

    private static string ValueOf(string[] args, int option) =>
        option + 1 < args.Length ? args[option + 1] : throw new ShellUsageException($"{args[option]} needs a value");
}
