using CriuPS.Criu.Running;
using CriuPS.Engine.Images;
using CriuPS.Engine.Options;

namespace CriuPS.Criu.Commands;

/// <summary>criu dedup: takes pages out of the images of previous rounds that the last round has too.</summary>
internal static class DedupCommand
{
    /// <summary>Takes them out.</summary>
    public static int Run(CriuOptions options, Log log)
    {
        long bytes = Deduplication.Run(options.ImagesDirectory);
        log.Write(EventLevel.Information, $"{bytes} bytes of previous rounds are not needed any more");
        return 0;
    }
}
