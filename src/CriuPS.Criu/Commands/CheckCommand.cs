using CriuPS.Criu.Running;
using CriuPS.Engine.Check;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Options;

namespace CriuPS.Criu.Commands;

/// <summary>criu check: what this kernel and these privileges allow.</summary>
internal static class CheckCommand
{
    private const string List = "list";

    /// <summary>Checks; the exit code is 0 if everything that was asked for works.</summary>
    public static int Run(CriuOptions options, Log log)
    {
        if (options.Features.Contains(List))
        {
            Console.Out.WriteLine(string.Join(' ', KernelCheck.CriuNames));
            return 0;
        }

        if (options.Features.FirstOrDefault(name => !KernelCheck.CriuNames.Contains(name)) is { } unknown)
        {
            throw KernelCheck.Unknown(unknown);
        }

        using Interruption interruption = new();
        KernelFeature[] missing = [.. Look(options, interruption.Token).Where(feature => !feature.Supported)];
        foreach (KernelFeature feature in missing)
        {
            log.Write(Level(feature, options), $"{feature.Name}: {feature.Detail}{(feature.Remedy is null ? "" : $"; {feature.Remedy}")}");
        }

        return Verdict(options, missing);
    }

    private static IReadOnlyList<KernelFeature> Look(CriuOptions options, CancellationToken stop)
    {
        if (!options.Features.IsEmpty)
        {
            return KernelCheck.Run(options.Features, stop);
        }

        List<KernelFeature> found = [.. KernelCheck.RunRequired(stop)];
        FeatureCategory[] more =
        [
            .. options.CheckExtra ? [FeatureCategory.Extra] : Array.Empty<FeatureCategory>(),
            .. options.CheckExperimental ? [FeatureCategory.Experimental] : Array.Empty<FeatureCategory>(),
        ];
        if (more.Length > 0)
        {
            found.AddRange(KernelCheck.RunCategories(more, stop).Where(feature => !feature.Required));
        }

        return found;
    }

    private static EventLevel Level(KernelFeature feature, CriuOptions options) =>
        feature.Required || !options.Features.IsEmpty ? EventLevel.Error : EventLevel.Warning;

    private static string Names(KernelFeature[] features) => string.Join(", ", features.Select(feature => feature.Name));

    private static int Verdict(CriuOptions options, KernelFeature[] missing)
    {
        bool fails = missing.Any(feature => Level(feature, options) == EventLevel.Error);
        Console.Out.WriteLine((fails, missing.Length) switch
        {
            (_, 0) => "Looks good.",
            (false, _) => $"Looks good, but some trees cannot be dumped or restored without: {Names(missing)}",
            _ => $"Does not look good: {Names(missing)}",
        });
        return fails ? 1 : 0;
    }
}
