using CriuPS.Engine.Kernel;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Criu.Rpc;

/// <summary>Cancels an operation when the client that asked for it goes away: nobody would hear of its result.</summary>
internal sealed class HangUpWatch : IDisposable
{
    private readonly CancellationTokenSource _gone = new(), _over = new();
    private readonly Thread _thread;

    /// <param name="socket">The connection; it must outlive the watch.</param>
    public HangUpWatch(SafeFileHandle socket)
    {
        _thread = new Thread(() => Watch(socket)) { IsBackground = true, Name = "hang-up watch" };
        _thread.Start();
    }

    /// <summary>Cancelled when the client has gone.</summary>
    public CancellationToken Gone => _gone.Token;

    /// <inheritdoc/>
    public void Dispose()
    {
        _over.Cancel();
        _thread.Join();
        _over.Dispose();
        _gone.Dispose();
    }

    private void Watch(SafeFileHandle socket)
    {
        try
        {
            Poll.WaitHangUp(socket, _over.Token);
            _gone.Cancel();
        }
        catch (OperationCanceledException)
        {
            // The operation was over first.
        }
    }
}
