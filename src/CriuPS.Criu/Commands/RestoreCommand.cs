using System.Globalization;
using CriuPS.Criu.Running;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Options;
using CriuPS.Engine.Restore;

namespace CriuPS.Criu.Commands;

/// <summary>criu restore.</summary>
internal static class RestoreCommand
{
    /// <summary>Restores the tree; unless it is detached, waits for its end, or becomes another program in its parent's place.</summary>
    /// <param name="options">All options.</param>
    /// <param name="log">The log.</param>
    /// <param name="program">The program to become, with its arguments.</param>
    public static int Run(RestoreOptions options, Log log, string[] program)
    {
        RestoreResult result = Restore(options, log);
        string duration = result.Duration.TotalMilliseconds.ToString("0.0", CultureInfo.InvariantCulture);
        log.Write(EventLevel.Information, $"process {result.Id} is restored in {duration} ms");
        RestoreStatistics.Write(result, options.WorkDirectory!);
        if (options.DisplayStatistics)
        {
            Console.Out.WriteLine($"""
                Processes: {result.Processes}
                Threads: {result.Threads}
                Pages restored: {result.Pages}
                Duration: {duration} ms
                """);
        }

        if (options.ExecuteCommand)
        {
            throw Execute.Become(program);
        }

        if (!options.Detached)
        {
            Wait.ForAllChildren();
        }

        return 0;
    }

    private static RestoreResult Restore(RestoreOptions options, Log log)
    {
        using Interruption interruption = new();
        return new RestoreOperation(options with { Hooks = HookChain.Of(options, log) }, log.Write).Run(interruption.Token);
    }
}
