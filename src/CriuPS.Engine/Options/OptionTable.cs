using CriuPS.Engine.Errors;

namespace CriuPS.Engine.Options;

/// <summary>
/// All options of CRIU 4.2 by name, in the order in which a help text shows them, and how they fill <see cref="CriuOptions"/>.
/// </summary>
public static partial class OptionTable
{
    private const string Negation = "no-";

    /// <summary>Every option.</summary>
    public static IReadOnlyList<OptionDefinition> All { get; } =
        [.. General(), .. Logs(), .. Servers(), .. Files(), .. Network(), .. Surroundings(), .. Cgroups(), .. Migration(), .. Checks(), .. Own()];

    /// <summary>Finds an option by its long name, or by the name that turns it off.</summary>
    /// <param name="name">The name without dashes.</param>
    /// <param name="on">Whether the name turns it on.</param>
    public static OptionDefinition? Find(string name, out bool on)
    {
        on = true;
        foreach (OptionDefinition option in All)
        {
            if (option.Name == name)
            {
                return option;
            }

            if (option.IsNegatable && name == Negation + option.Name)
            {
                on = false;
                return option;
            }
        }

        return null;
    }

    /// <summary>Applies named options, one after the other; later ones win.</summary>
    /// <exception cref="CriuException">An option is unknown, or its value means nothing.</exception>
    public static T Apply<T>(T options, IEnumerable<NamedOption> named)
        where T : CriuOptions => named.Aggregate(options, Apply);

    private static T Apply<T>(T options, NamedOption named)
        where T : CriuOptions
    {
        OptionDefinition option = Find(named.Name, out bool on)
            ?? throw Bad("UnknownOption", $"there is no option --{named.Name}", named, "see criu --help");
        if (option.Turn is { } turn)
        {
            return named.Value is null
                ? (T)turn(options, on)
                : throw Bad("OptionTakesNoValue", $"option --{named.Name} takes no value, not even '{named.Value}'", named);
        }

        if (named.Value is null && option.Argument == OptionArgument.Required)
        {
            throw Bad("OptionNeedsValue", $"option --{named.Name} needs a value", named);
        }

        return (T)option.Set!(options, named.Value);
    }

    private static CriuException Bad(string id, string message, NamedOption named, string? remedy = null) =>
        new(id, CriuErrorKind.BadOption, message) { Subject = $"--{named.Name}", Remedy = remedy };

    private static OptionDefinition Switch(string name, string? help, Func<CriuOptions, bool, CriuOptions> turn, char letter = '\0') =>
        new() { Name = name, Short = letter, Argument = OptionArgument.None, Help = help, IsNegatable = true, Turn = turn };

    private static OptionDefinition Flag(string name, string? help, Func<CriuOptions, CriuOptions> set, char letter = '\0') =>
        new() { Name = name, Short = letter, Argument = OptionArgument.None, Help = help, Turn = (options, _) => set(options) };

    private static OptionDefinition Value(
        string name, string placeholder, string? help, Func<CriuOptions, string, CriuOptions> set, char letter = '\0') =>
        new()
        {
            Name = name, Short = letter, Argument = OptionArgument.Required, Placeholder = placeholder, Help = help,
            Set = (options, value) => set(options, value!),
        };

    private static OptionDefinition OptionalValue(
        string name, string placeholder, string help, Func<CriuOptions, string?, CriuOptions> set, char letter = '\0') =>
        new() { Name = name, Short = letter, Argument = OptionArgument.Optional, Placeholder = placeholder, Help = help, Set = set };
}
