using CriuPS.Engine.Images.Schema;

namespace CriuPS.Engine.Images;

/// <summary>stats-dump and stats-restore: files of the work directory, for programs that look at how an operation went.</summary>
internal static class StatisticsImage
{
    /// <summary>Writes one; that of an earlier operation is replaced.</summary>
    public static void Write(ImageType type, StatsEntry entry, string directory)
    {
        string path = Path.Join(directory, type.FileName());
        File.Delete(path);
        using ImageWriter writer = ImageWriter.Create(path, type);
        writer.Write(entry);
    }

    /// <summary>A time as the image has it.</summary>
    public static uint Microseconds(TimeSpan time) => (uint)Math.Min(uint.MaxValue, time.TotalMicroseconds);
}
