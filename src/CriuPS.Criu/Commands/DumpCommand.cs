using System.Globalization;
using CriuPS.Criu.Running;
using CriuPS.Engine.Dump;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Options;

namespace CriuPS.Criu.Commands;

/// <summary>criu dump.</summary>
internal static class DumpCommand
{
    /// <summary>Dumps the tree.</summary>
    public static int Run(DumpOptions options, Log log)
    {
        if (options.Pid == 0)
        {
            throw new CriuException("PidMissing", CriuErrorKind.BadOption, "no process is named") { Remedy = "use --tree PID" };
        }

        using Interruption interruption = new();
        DumpResult result = new DumpOperation(options with { Hooks = HookChain.Of(options, log) }, log.Write).Run(interruption.Token);
        string stood = $"it stood still for {Show(result.FreezeTime)}";
        log.Write(EventLevel.Information, $"process {result.Id} is dumped in {Show(result.Duration)}; {stood}");
        DumpStatistics.Write(result, options.WorkDirectory!);
        if (options.DisplayStatistics)
        {
            Console.Out.WriteLine($"""
                Processes: {result.Processes}
                Threads: {result.Threads}
                Pages written: {result.Pages}
                Size of the images: {result.Bytes} bytes
                Frozen: {Show(result.FreezeTime)}
                Duration: {Show(result.Duration)}
                """);
        }

        return 0;
    }

    private static string Show(TimeSpan time) => string.Create(CultureInfo.InvariantCulture, $"{time.TotalMilliseconds:0.0} ms");
}
