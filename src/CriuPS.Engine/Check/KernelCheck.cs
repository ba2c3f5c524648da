using CriuPS.Engine.Compel;
using CriuPS.Engine.Errors;

namespace CriuPS.Engine.Check;

/// <summary>
/// What this kernel and the privileges of this process allow, found out by trying: each feature is used as a dump or a restore uses it, in
/// a child that exists for it. Nothing of it remains.
/// </summary>
public static class KernelCheck
{
    /// <summary>All names, in the order of CRIU's check, ours behind them.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. Features.InOrder.Select(feature => feature.Name)];

    /// <summary>The names that <c>criu check --feature</c> takes.</summary>
    public static IReadOnlyList<string> CriuNames { get; } = [.. Features.InOrder.Where(one => one.KnownToCriu).Select(one => one.Name)];

    /// <summary>Tries all features, or those with these names; results come in the order of <see cref="Names"/>.</summary>
    /// <param name="names">Exact names; null for all.</param>
    /// <param name="cancellation">Ends the check between two features.</param>
    /// <exception cref="CriuException"><c>UnknownFeature</c>.</exception>
    public static IReadOnlyList<KernelFeature> Run(IReadOnlyCollection<string>? names = null, CancellationToken cancellation = default)
    {
        foreach (string name in names ?? [])
        {
            if (!Names.Contains(name))
            {
                throw Unknown(name);
            }
        }

        return Run(feature => names is null || names.Contains(feature.Name), cancellation);
    }

    /// <summary>Tries the features of some categories.</summary>
    public static IReadOnlyList<KernelFeature> RunCategories(
        IReadOnlyCollection<FeatureCategory> categories, CancellationToken cancellation = default) =>
        Run(feature => categories.Contains(feature.Category), cancellation);

    /// <summary>Tries the features that no dump or no restore works without.</summary>
    public static IReadOnlyList<KernelFeature> RunRequired(CancellationToken cancellation = default) =>
        Run(feature => feature.Required, cancellation);

    /// <summary>The error about a name that no feature has.</summary>
    public static CriuException Unknown(string name) =>
        new("UnknownFeature", CriuErrorKind.BadOption, $"there is no feature or privilege named {name}")
        {
            Subject = name, Remedy = Alike(name) is { Length: > 0 } alike ? $"perhaps {alike} is meant" : "the full check lists all names",
        };

    private static string Alike(string name) => string.Join(" or ", Names.Where(
        known => known.Contains(name, StringComparison.OrdinalIgnoreCase) || name.Contains(known, StringComparison.OrdinalIgnoreCase)));

    private static KernelFeature[] Run(Func<Feature, bool> wanted, CancellationToken cancellation) =>
        Run(Features.InOrder.Where(wanted), cancellation);

    /// <summary>Tries these features, on a thread of their own: their children belong to it.</summary>
    internal static KernelFeature[] Run(IEnumerable<Feature> features, CancellationToken cancellation) =>
        OperationThread.Run("criups check", () => Probe(features, cancellation));

    private static KernelFeature[] Probe(IEnumerable<Feature> features, CancellationToken cancellation)
    {
        using ProbeBench bench = new(cancellation);
        List<KernelFeature> found = [];
        foreach (Feature feature in features)
        {
            cancellation.ThrowIfCancellationRequested();
            found.Add(feature.Report(Try(feature, bench)));
        }

        return [.. found];
    }

    // What cannot be tried does not work either: the reason is the answer.
    private static Answer Try(Feature feature, ProbeBench bench)
    {
        try
        {
            return feature.Probe(bench);
        }
        catch (CriuException refused)
        {
            return new Answer(false, refused.Message, refused.Errno ?? 0);
        }
    }
}
