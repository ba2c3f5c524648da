using System.Diagnostics;
using System.Text;
using CriuPS.Criu.Line;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Options;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Criu.Running;

/// <summary>
/// The log: a line for each event that matters enough. From level 3 on each line begins with the seconds since the log was opened. A line
/// is one write to the end of the file (O_APPEND), because scripts that run meanwhile write to it too.
/// </summary>
internal sealed class Log : IDisposable
{
    private readonly SafeFileHandle _output;
    private readonly int _level;
    private readonly string? _file;
    private readonly long _start = Stopwatch.GetTimestamp();
    private readonly Lock _lock = new();
    private string? _loss;

    private Log(SafeFileHandle output, string? file, int level) => (_output, _file, _level) = (output, file, level);

    /// <summary>The descriptor of the file that lines go to.</summary>
    public int Descriptor => (int)_output.DangerousGetHandle();

    /// <summary>Opens the log that options ask for.</summary>
    /// <exception cref="CriuException">It cannot be made.</exception>
    public static Log Open(CriuOptions options) => new(OutputOf(options.LogFile), options.LogFile, options.LogLevel);

    /// <summary>Writes an event.</summary>
    public void Write(OperationEvent happening) => Write(happening.Level, Spelling.OptionNames(happening.Message));

    /// <summary>Writes a line.</summary>
    public void Write(EventLevel level, string message)
    {
        if ((int)level > _level)
        {
            return;
        }

        string kind = level switch { EventLevel.Error => "Error: ", EventLevel.Warning => "Warn: ", _ => "" };
        double time = Stopwatch.GetElapsedTime(_start).TotalSeconds;
        string stamp = _level >= (int)EventLevel.Information ? FormattableString.Invariant($"({time:00.000000}) ") : "";
        byte[] line = Encoding.UTF8.GetBytes($"{stamp}{kind}{message.ReplaceLineEndings(" ")}\n");
        lock (_lock)
        {
            Put(line);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_loss is not null)
        {
            StandardStreams.Complain($"the log {_file ?? "on the standard error"} is incomplete: {_loss}");
        }

        _output.Dispose();
    }

    // A full disk under the log must not end an operation in the middle. It is told at the end.
    private void Put(ReadOnlySpan<byte> line)
    {
        if (FileAt.TryWriteAll(_output, line) is not 0 and int errno)
        {
            _loss ??= Errno.Describe(errno);
        }
    }

    private static SafeFileHandle OutputOf(string? file)
    {
        if (file is null or "-")
        {
            return new SafeFileHandle(file is null ? StandardStreams.Error : StandardStreams.Output, ownsHandle: false);
        }

        try
        {
            File.WriteAllBytes(file, []);
            File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            return OpenAt.Open(Path.GetFullPath(file), Fcntl.O_WRONLY | Fcntl.O_APPEND);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or KernelException)
        {
            throw new CriuException("LogUnwritable", CriuErrorKind.PermissionDenied, $"the log {file} cannot be made: {e.Message}", e)
            {
                Subject = file,
            };
        }
    }
}
