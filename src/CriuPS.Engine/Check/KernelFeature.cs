namespace CriuPS.Engine.Check;

/// <summary>Where a feature stands in CRIU's own check, or that it is one of ours.</summary>
public enum FeatureCategory
{
    /// <summary>CRIU cannot work without it: <c>criu check</c>.</summary>
    Basic,

    /// <summary>Some programs need it: <c>criu check --extra</c>.</summary>
    Extra,

    /// <summary>Not ripe in CRIU: <c>criu check --experimental</c>.</summary>
    Experimental,

    /// <summary>CRIU looks only when it is asked: <c>criu check --feature NAME</c>.</summary>
    Named,

    /// <summary>This engine uses it; CRIU's check does not know it.</summary>
    Engine,

    /// <summary>A capability of the process that asks.</summary>
    Privilege,
}

/// <summary>What was found out about one feature of the kernel, or about one privilege.</summary>
public sealed record KernelFeature
{
    /// <summary>Its name; CRIU's where CRIU has one for it.</summary>
    public required string Name { get; init; }

    /// <summary>Whether it works, here and for this process.</summary>
    public required bool Supported { get; init; }

    /// <summary>Whether no dump or no restore of CriuPS works without it.</summary>
    public required bool Required { get; init; }

    /// <summary>Where it stands in CRIU's check.</summary>
    public required FeatureCategory Category { get; init; }

    /// <summary>Whether <c>criu check --feature</c> knows it by this name.</summary>
    public required bool KnownToCriu { get; init; }

    /// <summary>What needs it.</summary>
    public required string NeededFor { get; init; }

    /// <summary>What was tried, and what the kernel said where it does not work.</summary>
    public required string Detail { get; init; }

    /// <summary>What would help; null where it works.</summary>
    public string? Remedy { get; init; }
}
