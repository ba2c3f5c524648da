namespace CriuPS.Engine.Options;

/// <summary>Whether an option has a value.</summary>
public enum OptionArgument
{
    /// <summary>It is a switch.</summary>
    None,

    /// <summary>It must have one.</summary>
    Required,

    /// <summary>It may have one.</summary>
    Optional,
}

/// <summary>One option of CRIU's: its names, and what it sets.</summary>
public sealed class OptionDefinition
{
    /// <summary>Its long name, without dashes.</summary>
    public required string Name { get; init; }

    /// <summary>Its short name, or NUL.</summary>
    public char Short { get; init; }

    /// <summary>Whether it has a value.</summary>
    public required OptionArgument Argument { get; init; }

    /// <summary>What the value is, for a help text.</summary>
    public string? Placeholder { get; init; }

    /// <summary>One line that says what it does; null for an older name of another option.</summary>
    public string? Help { get; init; }

    /// <summary>Whether <c>no-</c> before its name turns it off.</summary>
    public bool IsNegatable { get; init; }

    internal Func<CriuOptions, bool, CriuOptions>? Turn { get; init; }

    internal Func<CriuOptions, string?, CriuOptions>? Set { get; init; }
}
