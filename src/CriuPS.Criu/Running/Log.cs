using System.Diagnostics;
using System.Text;
using CriuPS.Criu.Line;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Options;

namespace CriuPS.Criu.Running;

/// <summary>
/// The log: a line for each event that matters enough. From level 3 on each line begins with the seconds since the log was opened. A line
/// is one write, so that programs which run meanwhile can write to the same file.
/// </summary>
internal sealed class Log : IDisposable
{
    private readonly Stream _output;
    private readonly int _level;
    private readonly long _start = Stopwatch.GetTimestamp();
    private readonly Lock _lock = new();

    /// <param name="output">Where lines go; closed with the log.</param>
    /// <param name="level">The least important level that is written.</param>
    public Log(Stream output, int level) => (_output, _level) = (output, level);

    /// <summary>The first error, without time and level.</summary>
    public string? FirstError { get; private set; }

    /// <summary>Opens the log that options ask for.</summary>
    /// <exception cref="CriuException">It cannot be made.</exception>
    public static Log Open(CriuOptions options) => new(OutputOf(options.LogFile), options.LogLevel);

    /// <summary>Writes an event.</summary>
    public void Write(OperationEvent happening) => Write(happening.Level, Spelling.OptionNames(happening.Message));

    /// <summary>Writes a line.</summary>
    public void Write(EventLevel level, string message)
    {
        string text = message.ReplaceLineEndings(" ");
        if (level == EventLevel.Error)
        {
            FirstError ??= text;
        }

        if ((int)level > _level)
        {
            return;
        }

        string kind = level switch { EventLevel.Error => "Error: ", EventLevel.Warning => "Warn: ", _ => "" };
        double time = Stopwatch.GetElapsedTime(_start).TotalSeconds;
        string stamp = _level >= (int)EventLevel.Information ? FormattableString.Invariant($"({time:00.000000}) ") : "";
        byte[] line = Encoding.UTF8.GetBytes($"{stamp}{kind}{text}\n");
        lock (_lock)
        {
            _output.Write(line);
            _output.Flush();
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _output.Dispose();

    private static Stream OutputOf(string? file)
    {
        switch (file)
        {
            case null:
                return Console.OpenStandardError();
            case "-":
                return Console.OpenStandardOutput();
        }

        try
        {
            // Emptied, then only ever appended to: scripts write to it too.
            File.WriteAllBytes(file, []);
            File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            return new FileStream(file, FileMode.Append, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CriuException("LogUnwritable", CriuErrorKind.PermissionDenied, $"the log {file} cannot be made: {e.Message}", e)
            {
                Subject = file,
            };
        }
    }
}
