using CriuPS.Engine.Images;
using CriuPS.Engine.Images.Schema;

namespace CriuPS.Engine.Restore;

/// <summary>The file stats-restore.</summary>
public static class RestoreStatistics
{
    /// <summary>Writes the file; one of an earlier restore is replaced.</summary>
    /// <param name="result">What the restore did.</param>
    /// <param name="directory">The work directory.</param>
    /// <exception cref="Errors.CriuException">It cannot be written.</exception>
    public static void Write(RestoreResult result, string directory)
    {
        RestoreStatsEntry restore = new()
        {
            PagesCompared = (ulong)result.PagesCompared, PagesSkippedCow = (ulong)result.PagesInCommon, PagesRestored = (ulong)result.Pages,
            ForkingTime = StatisticsImage.Microseconds(result.BirthTime), RestoreTime = StatisticsImage.Microseconds(result.Duration),
        };
        StatisticsImage.Write(ImageType.StatsRestore, new StatsEntry { Restore = restore }, directory);
    }
}
