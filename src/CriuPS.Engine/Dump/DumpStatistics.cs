using CriuPS.Engine.Images;
using CriuPS.Engine.Images.Schema;

namespace CriuPS.Engine.Dump;

/// <summary>The file stats-dump, from which programs that migrate learn how long a tree stood still and how much memory it changes.</summary>
public static class DumpStatistics
{
    /// <summary>Writes the file; one of an earlier dump is replaced.</summary>
    /// <param name="result">What the dump did.</param>
    /// <param name="directory">The work directory.</param>
    /// <exception cref="Errors.CriuException">It cannot be written.</exception>
    public static void Write(DumpResult result, string directory)
    {
        long own = result.Pages - result.SharedPages;
        StatsEntry entry = new()
        {
            Dump = new DumpStatsEntry
            {
                FreezingTime = StatisticsImage.Microseconds(result.StopTime), FrozenTime = StatisticsImage.Microseconds(result.FreezeTime),
                MemdumpTime = StatisticsImage.Microseconds(result.SearchTime), MemwriteTime = StatisticsImage.Microseconds(result.WriteTime),

                // The kernel is asked for pages that have content, so that all which are seen are written.
                PagesScanned = (ulong)own, PagesWritten = (ulong)own, PagesSkippedParent = 0, PagesLazy = 0,
                ShpagesScanned = (ulong)result.SharedPages, ShpagesWritten = (ulong)result.SharedPages, ShpagesSkippedParent = 0,
            },
        };
        StatisticsImage.Write(ImageType.StatsDump, entry, directory);
    }
}
