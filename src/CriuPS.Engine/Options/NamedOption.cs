namespace CriuPS.Engine.Options;

/// <summary>An option as command lines, configuration files and requests name it.</summary>
/// <param name="Name">Its long name without dashes; <c>no-</c> before the name of a switch turns it off.</param>
/// <param name="Value">Its value; null for a switch, or where an optional value was left out.</param>
public readonly record struct NamedOption(string Name, string? Value = null);
