using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Options;

namespace CriuPS.Criu.Running;

/// <summary>
/// Runs programs at the stages of an operation, the last one that was named first. They learn the stage from CRTOOLS_SCRIPT_ACTION, the
/// directory of the images from CRTOOLS_IMAGE_DIR, and the root of the tree, where it exists, from CRTOOLS_INIT_PID. An exit code that is
/// not 0 disagrees. What they write goes to the log, and there is nothing for them to read: the terminal is the operation's.
/// </summary>
internal sealed class ActionScripts(CriuOptions options, Log log) : IOperationHooks
{
    /// <inheritdoc/>
    public void Reach(HookPoint point, int? pid)
    {
        string stage = HookPoints.NameOf(point);
        ActionScriptException? failure = null;
        foreach (string script in options.ActionScripts.Reverse())
        {
            log.Write(EventLevel.Debug, $"running {script} at {stage}");
            int code = Run(script, stage, pid);
            if (code != 0)
            {
                log.Write(EventLevel.Debug, $"{script} ended at {stage} with exit code {code}");
                failure ??= new ActionScriptException(script, stage, code);
            }
        }

        if (failure is not null)
        {
            throw failure;
        }
    }

    private int Run(string script, string stage, int? pid)
    {
        ProcessStartInfo start = new(script) { UseShellExecute = false };
        start.Environment["CRTOOLS_SCRIPT_ACTION"] = stage;
        start.Environment["CRTOOLS_IMAGE_DIR"] = options.ImagesDirectory;
        if (pid is { } root)
        {
            start.Environment["CRTOOLS_INIT_PID"] = root.ToString(CultureInfo.InvariantCulture);
        }

        try
        {
            using Process process = StandardStreams.Lend(log.Descriptor, () => Process.Start(start)!);
            process.WaitForExit();
            return process.ExitCode;
        }
        catch (Win32Exception e)
        {
            log.Write(EventLevel.Error, $"{script} cannot be started: {e.Message}");
            return ActionScriptException.NotStarted;
        }
    }
}

/// <summary>An action script disagreed.</summary>
/// <param name="script">Its path.</param>
/// <param name="stage">The stage.</param>
/// <param name="exitCode">Its exit code.</param>
internal sealed class ActionScriptException(string script, string stage, int exitCode) : CriuException(
    "ActionScriptFailed", CriuErrorKind.Busy, $"the action script {script} ended at {stage} with exit code {exitCode}")
{
    /// <summary>The exit code that stands for a script which cannot be started.</summary>
    public const int NotStarted = 127;

    /// <summary>Its exit code.</summary>
    public int ExitCode => exitCode;

    /// <summary>The stage at which it disagreed.</summary>
    public string Stage => stage;
}
