namespace CriuPS.Engine.Images;

/// <summary>A set of bits with the names that they have.</summary>
/// <param name="Value">The bits.</param>
/// <param name="Names">Names of the bits that are set; bits without one are together one number at the end.</param>
public readonly record struct FlagSet(ulong Value, IReadOnlyList<string> Names)
{
    public static implicit operator ulong(FlagSet flags) => flags.Value;

    /// <summary>Whether a flag is set.</summary>
    public bool Has(string name) => Names.Contains(name, StringComparer.OrdinalIgnoreCase);

    /// <inheritdoc/>
    public bool Equals(FlagSet other) => Value == other.Value;

    /// <inheritdoc/>
    public override int GetHashCode() => Value.GetHashCode();

    /// <summary>The names, e.g. <c>PROT_READ | PROT_EXEC</c>.</summary>
    public override string ToString() => string.Join(" | ", Names);
}
