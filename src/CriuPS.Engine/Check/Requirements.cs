using CriuPS.Engine.Compel;
using CriuPS.Engine.Errors;

namespace CriuPS.Engine.Check;

/// <summary>
/// Explains the kernel's refusals by what this machine or this process lacks. The check comes after the failure: before it, it would cost
/// each operation more than a warm dump takes, for something that hardly ever changes. Nothing is lost by that: a dump rehearses on a
/// newborn before it touches its target (Dump/WarmUp.cs), and a restore has nothing but newborns to lose.
/// </summary>
internal static class Requirements
{
    /// <summary>Runs an operation that undoes itself when it fails.</summary>
    /// <exception cref="CriuException"><c>RequirementMissing</c>, or the operation's own failure.</exception>
    public static T Explain<T>(Func<T> operation) => Explain(operation, () => KernelCheck.RunRequired());

    /// <inheritdoc cref="Explain{T}(Func{T})"/>
    internal static T Explain<T>(Func<T> operation, Func<IReadOnlyList<KernelFeature>> check)
    {
        try
        {
            return operation();
        }
        catch (CriuException failure) when (failure is KernelException or RemoteCallException)
        {
            // Not in the filter: that runs before the operation has undone itself.
            KernelFeature[] missing = [.. check().Where(feature => feature.Required && !feature.Supported)];
            if (missing.Length == 0)
            {
                throw;
            }

            throw Explained(failure, missing);
        }
    }

    private static CriuException Explained(CriuException failure, KernelFeature[] missing)
    {
        string names = string.Join(", ", missing.Select(feature => feature.Name));
        string message = $"{failure.Message}. What CriuPS requires is missing here: {names}";
        return new CriuException("RequirementMissing", failure.Kind, message, failure)
        {
            Pid = failure.Pid, Subject = failure.Subject, Errno = failure.Errno,
            Remedy = string.Join("; ", missing.Select(feature => $"{feature.Name}: {feature.Remedy}")),
        };
    }
}
