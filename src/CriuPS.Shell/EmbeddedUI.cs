using System.Management.Automation;
using System.Management.Automation.Host;

namespace CriuPS.Shell;

/// <summary>Where text goes and where it comes from: colours and progress only where a person looks at a terminal.</summary>
public sealed partial class EmbeddedUI : PSHostUserInterface
{
    private readonly bool _outputIsTerminal = !Console.IsOutputRedirected && HasColours();
    private readonly bool _errorIsTerminal = !Console.IsErrorRedirected && HasColours();
    private readonly ProgressLine _progress = new(!Console.IsErrorRedirected && HasColours());

    /// <summary>How many lines have gone to standard error as errors.</summary>
    public int ErrorsWritten { get; private set; }

    /// <inheritdoc/>
    public override PSHostRawUserInterface RawUI { get; } = new EmbeddedRawUI();

    /// <inheritdoc/>
    public override bool SupportsVirtualTerminal => _outputIsTerminal;

    /// <inheritdoc/>
    public override void Write(string value)
    {
        _progress.Hide();
        Console.Out.Write(GetOutputString(value, _outputIsTerminal));
    }

    /// <inheritdoc/>
    public override void Write(ConsoleColor foregroundColor, ConsoleColor backgroundColor, string value)
    {
        _progress.Hide();
        var coloured = _outputIsTerminal && foregroundColor >= 0;
        Console.Out.Write(coloured ? PSStyle.MapForegroundColorToEscapeSequence(foregroundColor) + value + "\e[0m" : value);
    }

    /// <inheritdoc/>
    public override void WriteLine(string value) => Write(value + "\n");

    /// <inheritdoc/>
    public override void WriteErrorLine(string value)
    {
        ErrorsWritten++;
        WriteToError(value);
    }

    /// <inheritdoc/>
    public override void WriteDebugLine(string message) => WriteTagged("DEBUG", message, "\e[33m");

    /// <inheritdoc/>
    public override void WriteVerboseLine(string message) => WriteTagged("VERBOSE", message, "\e[33m");

    /// <inheritdoc/>
    public override void WriteWarningLine(string message) => WriteTagged("WARNING", message, "\e[33;1m");

    /// <inheritdoc/>
    public override void WriteProgress(long sourceId, ProgressRecord record) => _progress.Show(record);

    /// <summary>Takes the progress line away, whether or not its owner has completed it.</summary>
    public void EndProgress() => _progress.Clear();

    /// <summary>Ctrl-C at the prompt: what was typed is dropped.</summary>
    public void Interrupt() => Console.Out.WriteLine();

    private static bool HasColours() =>
        string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR")) && Environment.GetEnvironmentVariable("TERM") is not (null or "" or "dumb");

    private void WriteTagged(string tag, string message, string colour) =>
        WriteToError(_errorIsTerminal ? $"{colour}{tag}: {message}\e[0m" : $"{tag}: {message}");

    private void WriteToError(string line)
    {
        _progress.Hide();
        Console.Error.WriteLine(GetOutputString(line, _errorIsTerminal));
    }
}
