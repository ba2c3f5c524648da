using CriuPS.Criu.Line;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Options;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Criu.Running;

/// <summary>What is around every command: directories, the log, and an exit code for what goes wrong.</summary>
internal static class Session
{
    private const int Failed = 1;

    /// <summary>Goes to the work directory, opens the log and runs a command.</summary>
    /// <param name="options">All options.</param>
    /// <param name="command">Gets the options with absolute paths, and the log.</param>
    /// <returns>The exit code.</returns>
    /// <exception cref="CriuException">There is no log to write a failure to.</exception>
    public static int Run<T>(T options, Func<T, Log, int> command)
        where T : CriuOptions
    {
        foreach (int descriptor in options.ClosedDescriptors)
        {
            new SafeFileHandle(descriptor, ownsHandle: true).Dispose();
        }

        string images = Existing(options.ImagesDirectory, "images");
        string work = options.WorkDirectory is { } named ? Existing(named, "work") : images;
        Enter(work);
        using Log log = Log.Open(options);
        log.Write(EventLevel.Information, $"CriuPS {CommandLine.OwnVersion}, as CRIU {CommandLine.SpokenVersion}");
        log.Write(EventLevel.Debug, $"on {Environment.OSVersion}, images in {images}, working in {work}");
        return Guard(log, () => command(options with { ImagesDirectory = images, WorkDirectory = work }, log));
    }

    private static int Guard(Log log, Func<int> command)
    {
        try
        {
            return command();
        }
        catch (ActionScriptException e)
        {
            log.Write(EventLevel.Error, Spelling.Describe(e));
            return e.Stage == HookPoints.NameOf(HookPoint.PostDump) ? e.ExitCode : Failed;
        }
        catch (RefusedException e)
        {
            foreach (Refusal refusal in e.Refusals)
            {
                log.Write(EventLevel.Error, Spelling.OptionNames(refusal.ToString()));
            }

            return Failed;
        }
        catch (CriuException e)
        {
            log.Write(EventLevel.Error, Spelling.Describe(e));
            return Failed;
        }
        catch (OperationCanceledException)
        {
            log.Write(EventLevel.Error, "interrupted; everything is undone");
            return Failed;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            log.Write(EventLevel.Error, e.Message);
            return Failed;
        }
    }

    private static void Enter(string work)
    {
        try
        {
            Directory.SetCurrentDirectory(work);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CriuException("DirectoryClosed", CriuErrorKind.PermissionDenied, $"the work directory cannot be entered: {e.Message}", e) { Subject = work };
        }
    }

    private static string Existing(string directory, string what)
    {
        string full = Path.GetFullPath(directory);
        return Directory.Exists(full)
            ? full
            : throw new CriuException("DirectoryMissing", CriuErrorKind.NotFound, $"the {what} directory {full} does not exist")
            {
                Subject = full,
            };
    }
}
