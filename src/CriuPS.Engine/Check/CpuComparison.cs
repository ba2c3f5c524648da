using CriuPS.Engine.Errors;
using CriuPS.Engine.Images;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Objects.Cpu;
using CriuPS.Engine.Options;

namespace CriuPS.Engine.Check;

/// <summary>Whether this processor is fit for what ran on that of an image set.</summary>
public sealed record CpuComparison
{
    /// <summary>The image set.</summary>
    public required string Path { get; init; }

    /// <summary>What was compared.</summary>
    public required CpuCapabilities Compared { get; init; }

    /// <summary>Whether it is fit.</summary>
    public bool IsFit => Reasons.Count == 0;

    /// <summary>Every reason why it is not.</summary>
    public required IReadOnlyList<string> Reasons { get; init; }

    /// <summary>The processor of the set.</summary>
    public required string SavedModel { get; init; }

    /// <summary>This processor.</summary>
    public required string Model { get; init; }

    /// <summary>Compares.</summary>
    /// <param name="directory">The image set.</param>
    /// <param name="parts">What is compared; nothing means everything.</param>
    /// <exception cref="CriuException">The set does not describe a processor, or is damaged.</exception>
    public static CpuComparison With(string directory, CpuCapabilities parts)
    {
        using ImageSet images = ImageSet.Open(directory);
        CpuinfoX86Entry saved = ProcessorImage.Read(images), own = ProcessorDescription.Own();
        CpuCapabilities compared = ProcessorImage.OrAll(parts);
        return new()
        {
            Path = images.Path, Compared = compared, Reasons = ProcessorComparison.Reasons(saved, own, compared), SavedModel = saved.ModelId, Model = own.ModelId,
        };
    }
}
