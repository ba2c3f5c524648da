using CriuPS.Engine.Options;

namespace CriuPS.Criu.Line;

/// <summary>What --help shows.</summary>
internal static class HelpText
{
    /// <summary>The short text after a mistake.</summary>
    public const string Usage = """

        Usage:
          criu dump|pre-dump -t PID [-D DIR] [OPTIONS]
          criu restore [-D DIR] [OPTIONS]
          criu check [--feature NAME]
          criu cpuinfo dump|check [-D DIR]
          criu dedup [-D DIR]
          criu page-server|lazy-pages [OPTIONS]
          criu service [OPTIONS]
          criu --help | --version

        """;

    private const int HelpColumn = 34;

    /// <summary>Usage and all options.</summary>
    public static IEnumerable<string> Lines()
    {
        yield return Usage;
        yield return "Options (switches are turned off by --no-NAME):";
        foreach (OptionDefinition option in FaceOptions.All.Where(o => o.Help is not null))
        {
            string names = $"  {(option.Short == '\0' ? "   " : $"-{option.Short},")} --{option.Name}{Argument(option)}";
            string gap = names.Length < HelpColumn ? new string(' ', HelpColumn - names.Length) : $"\n{new string(' ', HelpColumn)}";
            yield return $"{names}{gap}{option.Help}";
        }
    }

    private static string Argument(OptionDefinition option) => option.Argument switch
    {
        OptionArgument.None => "",
        OptionArgument.Required => $" {option.Placeholder}",
        _ => $"[={option.Placeholder}]",
    };
}
