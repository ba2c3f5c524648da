using CriuPS.Engine.Images.Schema;

namespace CriuPS.Engine.Images;

/// <summary>stats-dump and stats-restore: files of the work directory, for programs that look at how an operation went.</summary>
internal static class StatisticsImage
{
    /// <summary>Writes one; that of an earlier operation is replaced.</summary>
    public static void Write(ImageType type, StatsEntry entry, string directory) => ImageWriter.Replace(directory, type, entry);

    /// <summary>A time as the image has it.</summary>
    public static uint Microseconds(TimeSpan time) => (uint)Math.Min(uint.MaxValue, time.TotalMicroseconds);
}
