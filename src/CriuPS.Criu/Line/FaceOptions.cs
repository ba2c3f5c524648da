using CriuPS.Engine.Options;

namespace CriuPS.Criu.Line;

/// <summary>Options that the command line itself answers, and all names that it knows.</summary>
internal static class FaceOptions
{
    public const string Help = "help", Version = "version", Config = "config", NoDefaultConfig = "no-default-config", Ms = "ms";

    private static readonly OptionDefinition[] s_own =
    [
        new()
        {
            Name = Config, Argument = OptionArgument.Required, Placeholder = "FILE",
            Help = "read options from this file, not the default ones",
        },
        new() { Name = NoDefaultConfig, Argument = OptionArgument.None, Help = "do not read the default configuration files" },
        new() { Name = Help, Short = 'h', Argument = OptionArgument.None, Help = "show this text" },
        new() { Name = Version, Short = 'V', Argument = OptionArgument.None, Help = "show the version" },
        new() { Name = Ms, Argument = OptionArgument.None },
    ];

    /// <summary>All options, those of the engine first.</summary>
    public static IEnumerable<OptionDefinition> All => OptionTable.All.Concat(s_own);

    /// <summary>Every long name, those that turn a switch off included.</summary>
    public static IEnumerable<string> AllNames => All.SelectMany(o => o.IsNegatable ? new[] { o.Name, $"no-{o.Name}" } : [o.Name]);

    /// <summary>One of the command line's own options.</summary>
    public static OptionDefinition? Find(string name) => Array.Find(s_own, o => o.Name == name);

    /// <summary>An option by its letter.</summary>
    public static OptionDefinition? Find(char letter) => All.FirstOrDefault(o => o.Short == letter && letter != '\0');

    /// <summary>Whether an option is the command line's own.</summary>
    public static bool IsOwn(NamedOption option) => Find(option.Name) is not null;
}
