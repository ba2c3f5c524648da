using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Check;

/// <summary>One feature of the kernel, or one privilege: its name, who needs it, and how it is tried.</summary>
/// <param name="Name">CRIU's name where CRIU has one.</param>
/// <param name="Category">Where it stands in CRIU's check.</param>
/// <param name="Probe">Tries it. What the kernel refuses may come back as an exception of the engine.</param>
internal sealed record Feature(string Name, FeatureCategory Category, Func<ProbeBench, Answer> Probe)
{
    /// <summary>What needs it.</summary>
    public required string NeededFor { get; init; }

    /// <summary>The kernel, or the part of it, that brings it, e.g. <c>Linux 6.7</c>.</summary>
    public required string Since { get; init; }

    /// <summary>The capability that is needed to use it, if any.</summary>
    public string? Privilege { get; init; }

    /// <summary>Whether no dump or no restore of ours works without it.</summary>
    public bool Required { get; init; }

    /// <summary>Whether <c>criu check --feature</c> knows the name.</summary>
    public bool KnownToCriu { get; init; }

    /// <summary>What people see.</summary>
    public KernelFeature Report(Answer answer) => new()
    {
        Name = Name, Supported = answer.Supported, Required = Required, Category = Category, KnownToCriu = KnownToCriu,
        NeededFor = NeededFor, Detail = answer.Detail, Remedy = answer.Supported ? null : answer.Remedy ?? RemedyFor(answer.Error),
    };

    private string RemedyFor(int errno) =>
        Privilege is not null && errno is Errno.EPERM or Errno.EACCES
            ? $"run with {Privilege ?? "more privileges"}; a container may deny it all the same"
            : $"use {Since}";
}

/// <summary>What a probe found out.</summary>
/// <param name="Supported">Whether it works.</param>
/// <param name="Detail">What was tried, and what came of it.</param>
/// <param name="Error">The errno that the kernel gave; 0 for none.</param>
internal readonly record struct Answer(bool Supported, string Detail, int Error = 0)
{
    /// <summary>What would help, where the probe knows better than the feature.</summary>
    public string? Remedy { get; init; }

    public static Answer Yes(string detail) => new(true, detail);

    public static Answer No(string detail) => new(false, detail);

    /// <summary>A call that must not fail.</summary>
    public static Answer Of(string call, long result) =>
        Syscall.IsError(result) ? new Answer(false, $"{call} failed: {Errno.Describe((int)-result)}", (int)-result) : Yes(call);

    /// <summary>A call whose effect was looked at.</summary>
    public static Answer Of(string call, bool works) => works ? Yes(call) : No($"{call} succeeds, and its effect does not show");
}
