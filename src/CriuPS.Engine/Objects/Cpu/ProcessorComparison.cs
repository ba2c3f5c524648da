using CriuPS.Engine.Errors;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Options;

namespace CriuPS.Engine.Objects.Cpu;

/// <summary>Whether programs that ran on one processor can go on on another.</summary>
internal static class ProcessorComparison
{
    /// <summary>Fails if they cannot; all reasons are named.</summary>
    /// <param name="saved">The processor of the image.</param>
    /// <param name="own">This processor.</param>
    /// <param name="parts">What has to be alike.</param>
    /// <exception cref="CriuException">They cannot.</exception>
    public static void Compare(CpuinfoX86Entry saved, CpuinfoX86Entry own, CpuCapabilities parts)
    {
        IReadOnlyList<string> reasons = Reasons(saved, own, parts);
        if (reasons.Count > 0)
        {
            throw new CriuException(
                "ProcessorMismatch", CriuErrorKind.NotSupported, $"this processor ({own.ModelId}) is not fit for what ran on {saved.ModelId}: {string.Join("; ", reasons)}")
            {
                Remedy = "use a processor of the same kind; -CpuCapability (--cpu-cap) says what is compared",
            };
        }
    }

    /// <summary>Every reason why they cannot.</summary>
    /// <param name="saved">The processor of the image.</param>
    /// <param name="own">This processor.</param>
    /// <param name="parts">What has to be alike.</param>
    public static IReadOnlyList<string> Reasons(CpuinfoX86Entry saved, CpuinfoX86Entry own, CpuCapabilities parts)
    {
        List<string> reasons = [];
        if (parts.HasFlag(CpuCapabilities.Fpu))
        {
            reasons.AddRange(Missing(saved, own, ProcessorFlags.State, "state"));
            reasons.AddRange(Sizes(saved, own));
        }

        if (parts.HasFlag(CpuCapabilities.Instructions))
        {
            reasons.AddRange(Missing(saved, own, ProcessorFlags.Instructions, "instructions"));
        }

        if (parts.HasFlag(CpuCapabilities.Cpu))
        {
            reasons.AddRange(Differences(saved, own));
        }

        return reasons;
    }

    private static IEnumerable<string> Missing(CpuinfoX86Entry saved, CpuinfoX86Entry own, IReadOnlyList<(int Word, int Bit, string Name)> flags, string what)
    {
        uint[] wanted = ProcessorDescription.Words(saved, own);
        string[] missing = [.. flags.Where(f => (wanted[f.Word] & ~own.Capability[f.Word] & (1u << f.Bit)) != 0).Select(f => f.Name)];
        return missing is [] ? [] : [$"it lacks {what} {string.Join(' ', missing)}"];
    }

    // A program may have made room for the state of all components, as large as it was, and look for parts of it at their places.
    private static IEnumerable<string> Sizes(CpuinfoX86Entry saved, CpuinfoX86Entry own)
    {
        if (saved.HasXfeaturesMask && (saved.XfeaturesMask & ~own.XfeaturesMask) is var more and not 0)
        {
            yield return $"it lacks components 0x{more:x} of the extended state";
        }

        if (saved.HasXsaveSize && saved.XsaveSize != own.XsaveSize)
        {
            yield return $"its extended state has {own.XsaveSize} bytes instead of {saved.XsaveSize}";
        }

        if (saved.HasXsaveSizeMax && saved.XsaveSizeMax != own.XsaveSizeMax)
        {
            yield return $"its extended state can have {own.XsaveSizeMax} bytes instead of {saved.XsaveSizeMax}";
        }
    }

    private static IEnumerable<string> Differences(CpuinfoX86Entry saved, CpuinfoX86Entry own)
    {
        uint[] wanted = ProcessorDescription.Words(saved, own);
        string[] different =
        [
            .. from word in Enumerable.Range(0, wanted.Length)
               from bit in Enumerable.Range(0, 32)
               where ((wanted[word] ^ own.Capability[word]) & (1u << bit)) != 0
               select ((wanted[word] >> bit) & 1) != 0 ? $"-{ProcessorFlags.NameOf(word, bit)}" : $"+{ProcessorFlags.NameOf(word, bit)}",
        ];
        return different is [] ? [] : [$"its flags differ: {string.Join(' ', different)}"];
    }
}
