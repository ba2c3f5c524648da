using System.Globalization;
using Xunit;

namespace CriuPS.Tests.Checkpoint;

/// <summary>The seeds of tests with random targets.</summary>
internal static class Seeds
{
    private const string Usual = "1-12";

    /// <summary>Those that an environment variable asks for (FIRST-LAST, or one number), else the usual ones.</summary>
    public static TheoryData<int> Of(string variable)
    {
        string[] range = (Environment.GetEnvironmentVariable(variable) ?? Usual).Split('-');
        int first = int.Parse(range[0], CultureInfo.InvariantCulture), last = int.Parse(range[^1], CultureInfo.InvariantCulture);
        return [.. Enumerable.Range(first, last - first + 1)];
    }
}
