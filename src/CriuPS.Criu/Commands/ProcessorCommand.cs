using CriuPS.Criu.Running;
using CriuPS.Engine.Check;
using CriuPS.Engine.Options;

namespace CriuPS.Criu.Commands;

/// <summary>criu cpuinfo: writes down what the processor is, or says whether this one is fit for what ran on another.</summary>
internal static class ProcessorCommand
{
    /// <summary>Writes.</summary>
    public static int Dump(CriuOptions options, Log log)
    {
        ProcessorImage.Write(options.ImagesDirectory);
        log.Write(EventLevel.Information, "the processor is described");
        return 0;
    }

    /// <summary>Compares.</summary>
    public static int Check(CriuOptions options, Log log)
    {
        ProcessorImage.Validate(options.ImagesDirectory, options.CpuCapabilities);
        log.Write(EventLevel.Information, "this processor is fit");
        return 0;
    }
}
