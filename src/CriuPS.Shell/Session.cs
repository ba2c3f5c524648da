using System.Management.Automation;
using System.Management.Automation.Runspaces;
using System.Runtime.InteropServices;

namespace CriuPS.Shell;

/// <summary>One open runspace: it runs commands, shows what comes out of them and turns their fate into an exit code.</summary>
public sealed class Session : IDisposable
{
    /// <summary>Exit code of what Ctrl-C ended, as shells have it: 128 + SIGINT.</summary>
    public const int InterruptedExitCode = 130;

    private readonly EmbeddedHost _host = new();
    private readonly Runspace _runspace;
    private readonly List<PosixSignalRegistration> _signals = [];
    private readonly Lock _lock = new();
    private PowerShell? _running;
    private int _interruptedBy;

    /// <summary>Opens the runspace and imports the module.</summary>
    /// <param name="modulePath">Path of a module manifest; null for none.</param>
    public Session(string? modulePath)
    {
        var state = InitialSessionState.CreateDefault2();
        if (modulePath is not null)
        {
            AddToModulePath(modulePath);
            state.ImportPSModule(modulePath);
        }

        _runspace = RunspaceFactory.CreateRunspace(_host, state);
        _runspace.ThreadOptions = PSThreadOptions.ReuseThread;
        _runspace.Open();
        _host.Runspace = _runspace;
        _signals.Add(PosixSignalRegistration.Create(PosixSignal.SIGINT, context => OnSignal(context, 2)));
        _signals.Add(PosixSignalRegistration.Create(PosixSignal.SIGTERM, context => OnSignal(context, 15)));
        _signals.Add(PosixSignalRegistration.Create(PosixSignal.SIGHUP, context => OnSignal(context, 1)));
    }

    /// <summary>Did a command call <c>exit</c>?</summary>
    public bool ExitRequested => _host.ExitCode is not null;

    /// <summary>What the host's user interface offers.</summary>
    public EmbeddedUI UI => (EmbeddedUI)_host.UI;

    /// <summary>Must the shell end because it was told to by SIGTERM or SIGHUP?</summary>
    public bool Terminated => _interruptedBy is 1 or 15;

    /// <summary>Runs a text of commands.</summary>
    /// <returns>The exit code.</returns>
    public int RunText(string text)
    {
        _host.ForgetExit();
        var errorsBefore = UI.ErrorsWritten;
        using var shell = CreateShell();
        shell.AddScript(text);
        shell.Commands.Commands[0].MergeMyResults(PipelineResultTypes.Error, PipelineResultTypes.Output);
        shell.AddCommand("Out-Default");
        var completed = Invoke(shell);
        UI.EndProgress();
        if (_interruptedBy != 0)
        {
            return TakeInterrupt();
        }

        return _host.ExitCode ?? (completed && UI.ErrorsWritten == errorsBefore ? 0 : 1);
    }

    /// <summary>Runs a script file.</summary>
    /// <param name="path">Its path, absolute or relative to the working directory.</param>
    /// <param name="arguments">Its arguments: <c>-Name</c>, <c>-Name:value</c> or values.</param>
    /// <returns>The exit code.</returns>
    public int RunFile(string path, IReadOnlyList<string> arguments)
    {
        var full = Path.GetFullPath(path);
        if (!File.Exists(full))
        {
            Console.Error.WriteLine($"criups: there is no script {path}");
            return 64;
        }

        return RunText(ScriptCall.TextFor(full, arguments));
    }

    /// <summary>Asks the parser whether a text is the beginning of a longer one.</summary>
    public static bool IsIncomplete(string text)
    {
        System.Management.Automation.Language.Parser.ParseInput(text, out _, out var errors);
        return errors.Any(error => error.IncompleteInput);
    }

    /// <summary>The text of the prompt, from the function <c>prompt</c> like anywhere else.</summary>
    public string PromptText()
    {
        using var shell = CreateShell();
        var text = shell.AddCommand("prompt").Invoke().FirstOrDefault()?.ToString();
        return string.IsNullOrEmpty(text) ? "PS> " : text;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var signal in _signals)
        {
            signal.Dispose();
        }

        _runspace.Dispose();
    }

    // Modules that are asked for by name, and the runspaces that scripts open, find ours too.
    private static void AddToModulePath(string manifest)
    {
        var folder = Path.GetDirectoryName(Path.GetDirectoryName(Path.GetFullPath(manifest)))!;
        var present = Environment.GetEnvironmentVariable("PSModulePath");
        Environment.SetEnvironmentVariable("PSModulePath", string.IsNullOrEmpty(present) ? folder : $"{folder}:{present}");
    }

    private bool Invoke(PowerShell shell)
    {
        lock (_lock)
        {
            _running = shell;
        }

        try
        {
            shell.Invoke();
            return true;
        }
        catch (PipelineStoppedException) when (_interruptedBy != 0)
        {
            return false;
        }
        catch (RuntimeException e)
        {
            ShowError(e.ErrorRecord);
            return false;
        }
        finally
        {
            lock (_lock)
            {
                _running = null;
            }
        }
    }

    // Through Out-Default like every other error, so that it looks as $ErrorView wants it.
    private void ShowError(ErrorRecord record)
    {
        var wrapped = PSObject.AsPSObject(record);
        wrapped.Properties.Add(new PSNoteProperty("writeErrorStream", true));
        using var shell = CreateShell();
        shell.AddCommand("Out-Default").AddParameter("InputObject", wrapped);
        shell.Invoke();
    }

    private PowerShell CreateShell()
    {
        var shell = PowerShell.Create();
        shell.Runspace = _runspace;
        return shell;
    }

    // The first signal stops the pipeline, which ends when whatever runs in it has undone its work. Until then every
    // further one is swallowed: nothing may kill us between a frozen process and its release.
    private void OnSignal(PosixSignalContext context, int number)
    {
        context.Cancel = true;
        PowerShell? running;
        lock (_lock)
        {
            running = _running;
            _interruptedBy = running is not null || number != 2 ? number : 0;
        }

        if (running is null)
        {
            UI.Interrupt();
            if (number != 2)
            {
                Environment.Exit(128 + number);
            }

            return;
        }

        running.BeginStop(null, null);
    }

    private int TakeInterrupt()
    {
        var code = 128 + _interruptedBy;
        if (!Terminated)
        {
            _interruptedBy = 0;
        }

        return code;
    }
}
