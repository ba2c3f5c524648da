using System.Management.Automation;
using CriuPS.Engine.Errors;

namespace CriuPS.Commands;

/// <summary>What all cmdlets share: Ctrl-C, the engine's errors as error records, paths as PowerShell means them.</summary>
public abstract class CriuCmdlet : PSCmdlet, IDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _lock = new();
    private bool _disposed;

    /// <summary>Cancelled by Ctrl-C. What it cancels undoes its work before it returns.</summary>
    protected CancellationToken StopToken => _stop.Token;

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Frees what the cmdlet holds; PowerShell calls it even where EndProcessing never runs.</summary>
    protected virtual void Dispose(bool disposing)
    {
        lock (_lock)
        {
            if (disposing && !_disposed)
            {
                _stop.Dispose();
            }

            _disposed = true;
        }
    }

    /// <summary>Called by PowerShell on a thread of its own.</summary>
    protected override void StopProcessing()
    {
        lock (_lock)
        {
            if (!_disposed)
            {
                _stop.Cancel();
            }
        }
    }

    /// <summary>
    /// Runs an operation of the engine on a thread of its own while this thread, the only one that may, writes its events to the
    /// verbose, debug, warning and progress streams. Returns when the operation has ended, undoing included, whatever happens here.
    /// </summary>
    /// <typeparam name="T">What the operation returns.</typeparam>
    /// <param name="activity">What is being done, for the progress display.</param>
    /// <param name="operation">The operation; it raises events and watches the token.</param>
    /// <exception cref="CriuException">The operation failed.</exception>
    /// <exception cref="PipelineStoppedException">Ctrl-C stopped it.</exception>
    protected T RunOperation<T>(string activity, Func<Action<Engine.Options.OperationEvent>, CancellationToken, T> operation) =>
        new OperationRun<T>(this, activity, operation).Run(StopToken);

    /// <summary>
    /// Runs the work for one input. A failure of the engine becomes an error record that does not end the pipeline, so that the
    /// next input gets its turn.
    /// </summary>
    /// <param name="target">The object that the error record names if the engine names none.</param>
    /// <param name="work">The work.</param>
    /// <returns>True if it succeeded.</returns>
    protected bool TryForInput(object? target, Action work)
    {
        ArgumentNullException.ThrowIfNull(work);
        try
        {
            work();
            return true;
        }
        catch (CriuException e)
        {
            WriteError(CriuErrorRecord.From(e, target));
            return false;
        }
        catch (OperationCanceledException) when (StopToken.IsCancellationRequested)
        {
            throw new PipelineStoppedException();
        }
    }

    /// <summary>Ends the pipeline with a failure of the engine.</summary>
    protected void ThrowTerminating(CriuException exception, object? target = null) =>
        ThrowTerminatingError(CriuErrorRecord.From(exception, target));

    /// <summary>The absolute path of a file or directory that need not exist; relative ones start at $PWD.</summary>
    /// <exception cref="CriuException">The path belongs to a drive that is not the file system.</exception>
    protected string ResolveNewPath(string path)
    {
        var resolved = SessionState.Path.GetUnresolvedProviderPathFromPSPath(path, out var provider, out _);
        return OnlyFileSystem(path, provider, resolved);
    }

    /// <summary>The absolute paths of files and directories that exist; wildcards are allowed.</summary>
    /// <exception cref="CriuException">There is none, or the path belongs to a drive that is not the file system.</exception>
    protected IReadOnlyList<string> ResolveWildcard(string path)
    {
        try
        {
            var found = SessionState.Path.GetResolvedProviderPathFromPSPath(path, out var provider);
            return found.Count > 0 ? [.. found.Select(one => OnlyFileSystem(path, provider, one))] : throw NoSuchPath(path, null);
        }
        catch (ItemNotFoundException e)
        {
            throw NoSuchPath(path, e);
        }
    }

    private static CriuException NoSuchPath(string path, Exception? inner) =>
        new("PathNotFound", CriuErrorKind.NotFound, $"there is no file or directory {path}", inner) { Subject = path };

    private static string OnlyFileSystem(string path, ProviderInfo provider, string resolved) =>
        provider.Name == "FileSystem"
            ? resolved
            : throw new CriuException("NotAFileSystemPath", CriuErrorKind.BadOption, $"{path} belongs to the drive type {provider.Name}, not to the file system")
            {
                Subject = path,
                Remedy = "give a path of the file system",
            };
}
