using System.Globalization;
using CriuPS.Criu.Rpc;
using CriuPS.Criu.Running;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Options;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Criu.Commands;

/// <summary>criu service: takes requests over a socket.</summary>
internal static class ServiceCommand
{
    /// <summary>The word for it.</summary>
    public const string Name = "service";

    /// <summary>Serves until it is ended by a signal, or starts a daemon that does and returns when it can be connected with.</summary>
    /// <param name="options">All options.</param>
    /// <param name="log">The log.</param>
    /// <param name="words">In the daemon, the number of the socket that listens.</param>
    public static int Run(CriuOptions options, Log log, string[] words)
    {
        if (words is [var number])
        {
            Daemon.Detach();
            using SafeFileHandle inherited = new(int.Parse(number, CultureInfo.InvariantCulture), ownsHandle: true);
            Serve(inherited, log);
            return 0;
        }

        string address = options.Address ?? RpcService.DefaultAddress;
        using SafeFileHandle listener = RpcService.Listen(address);
        log.Write(EventLevel.Information, $"listening on {Path.GetFullPath(address)}");
        int pid = options.Daemon ? Daemon.Start(Name, listener, options) : Environment.ProcessId;
        if (options.PidFile is { } path)
        {
            new PidFile(path).Write(pid);
        }

        SayReady(options.StatusDescriptor);
        if (!options.Daemon)
        {
            Serve(listener, log);
            File.Delete(address);
        }

        return 0;
    }

    private static void Serve(SafeFileHandle listener, Log log)
    {
        using Interruption interruption = new();
        new RpcService(log).Run(listener, interruption.Token);
        log.Write(EventLevel.Information, "the service ends");
    }

    private static void SayReady(int? descriptor)
    {
        if (descriptor is { } number)
        {
            using SafeFileHandle status = new(number, ownsHandle: true);
            Syscall.Check(Fcntl.Write(status, [0]), "write to the descriptor of --status-fd");
        }
    }
}
