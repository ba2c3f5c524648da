using System.ComponentModel;
using CriuPS.Criu.Commands;
using CriuPS.Criu.Running;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Options;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Criu.Rpc;

/// <summary>
/// The service: a socket that takes connections and gives each to a worker, which is a process of its own. A worker that crashes, hangs or is
/// ended takes no other client with it, and what it had frozen goes on by itself.
/// </summary>
/// <param name="log">Told what happens.</param>
internal sealed class RpcService(Log log)
{
    /// <summary>Where the service listens unless it is told otherwise.</summary>
    public const string DefaultAddress = "./criu_service.socket";

    /// <summary>What a worker of a service is told besides its connection.</summary>
    public const string WorkerMark = "service";

    private const int Backlog = 128;
    private const UnixFileMode Everybody = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite
        | UnixFileMode.OtherRead | UnixFileMode.OtherWrite;

    /// <summary>Binds the socket; a socket that an earlier service left there is replaced.</summary>
    /// <exception cref="CriuException">Something that is no socket is there, or it cannot be bound.</exception>
    public static SafeFileHandle Listen(string address)
    {
        if (FileStatus.TryOf(address, out FileStatus.stat status, out _, followLinks: false))
        {
            if ((status.st_mode & FileStatus.S_IFMT) != FileStatus.S_IFSOCK)
            {
                throw new CriuException("AddressInUse", CriuErrorKind.AlreadyExists, $"{address} exists and is no socket")
                {
                    Subject = address, Remedy = "choose another path with --address",
                };
            }

            File.Delete(address);
        }

        SafeFileHandle listener = PacketSocket.Listen(address, Backlog);
        File.SetUnixFileMode(address, Everybody);
        return listener;
    }

    /// <summary>Takes connections until it is told to stop. Who is gone again before it is his turn costs no worker.</summary>
    public void Run(SafeFileHandle listener, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            try
            {
                Poll.WaitReadable(listener, stop);
            }
            catch (OperationCanceledException)
            {
                return;
            }

            using SafeFileHandle? client = PacketSocket.TryAccept(listener);
            if (client is not null && Poll.Wait(client, 0, 0) == 0)
            {
                StartWorker(client);
            }
        }
    }

    // The connection is the only descriptor of ours without close-on-exec, and only while this one process is started.
    private void StartWorker(SafeFileHandle client)
    {
        try
        {
            int worker = OwnProgram.Start(WorkerCommand.Name, client, WorkerMark);
            log.Write(EventLevel.Information, $"worker {worker} serves a connection");
        }
        catch (Win32Exception e)
        {
            log.Write(EventLevel.Error, $"a connection is dropped because no worker can be started: {e.Message}");
        }
    }
}
