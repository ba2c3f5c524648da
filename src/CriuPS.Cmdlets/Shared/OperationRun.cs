using System.Collections.Concurrent;
using System.Management.Automation;
using System.Runtime.ExceptionServices;
using CriuPS.Engine.Options;

namespace CriuPS.Commands;

/// <summary>One operation of the engine under one cmdlet: its thread, the queue of its events, and their way to the streams.</summary>
/// <typeparam name="T">What the operation returns.</typeparam>
internal sealed class OperationRun<T>(Cmdlet cmdlet, string activity, Func<Action<OperationEvent>, CancellationToken, T> operation)
{
    // The queue has no bound: an operation must never wait for a display while it keeps a process frozen.
    private readonly BlockingCollection<OperationEvent> _events = [];
    private readonly OperationProgress _progress = new(cmdlet, activity);
    private T? _result;
    private ExceptionDispatchInfo? _failure;

    /// <summary>Runs the operation to its end. On the pipeline's thread.</summary>
    public T Run(CancellationToken stop)
    {
        using var cancellation = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var worker = new Thread(() => Work(cancellation.Token)) { IsBackground = true, Name = activity };
        worker.Start();
        try
        {
            ShowEvents();
        }
        catch
        {
            // A stream refused (the pipeline is being stopped, or -WarningAction Stop): the operation undoes itself first.
            cancellation.Cancel();
            worker.Join();
            throw;
        }

        worker.Join();
        _events.Dispose();
        if (_failure?.SourceException is OperationCanceledException && stop.IsCancellationRequested)
        {
            throw new PipelineStoppedException();
        }

        _failure?.Throw();
        return _result!;
    }

    // An exception that left this thread would end the whole shell, so every one is handed over.
    private void Work(CancellationToken cancellation)
    {
        try
        {
            _result = operation(_events.Add, cancellation);
        }
        catch (Exception e)
        {
            _failure = ExceptionDispatchInfo.Capture(e);
        }
        finally
        {
            _events.CompleteAdding();
        }
    }

    private void ShowEvents()
    {
        foreach (var happening in _events.GetConsumingEnumerable())
        {
            Show(happening);
        }

        _progress.Complete();
    }

    private void Show(OperationEvent happening)
    {
        var text = $"{happening.Stage}: {happening.Message}";
        switch (happening.Level)
        {
            case EventLevel.Error or EventLevel.Warning:
                cmdlet.WriteWarning(happening.Message);
                break;
            case EventLevel.Information:
                cmdlet.WriteVerbose(text);
                _progress.Show(happening);
                break;
            default:
                cmdlet.WriteDebug(text);
                _progress.Show(happening);
                break;
        }
    }
}
