using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Sockets;

/// <summary>The order in which unix sockets are made.</summary>
/// <param name="ends">All of them, but those that somebody else brings along.</param>
/// <param name="places">Where their names are.</param>
/// <param name="open">Opens a file that travels in a queue.</param>
/// <param name="makeProcess">Makes a process with a number for the moment.</param>
internal sealed class UnixMaking(IReadOnlyList<UnixEnd> ends, UnixPlaces places, Func<uint, SafeFileHandle> open, Action<int> makeProcess)
{
    /// <summary>Makes all.</summary>
    public void Run()
    {
        UnixEnd[] streams = [.. ends.Where(end => !end.IsDatagram)], datagrams = [.. ends.Where(end => end.IsDatagram)];
        using UnixStreams connections = new(streams, places);
        using UnixDatagrams addressees = new(datagrams, places);
        using UnixQueueing queueing = new(ends, places, open, makeProcess);
        connections.Make();
        addressees.Make();
        foreach (UnixEnd end in streams)
        {
            queueing.FillConnected(end);
        }

        addressees.Fill(queueing);
        addressees.Connect();
        connections.ConnectPending();
        connections.ResetBroken();
        connections.Dispose();
        addressees.Dispose();
        foreach (UnixEnd end in ends)
        {
            Settle(end);
        }
    }

    // What is shut and filtered takes nothing more, so this comes when the queues are full.
    private static void Settle(UnixEnd end)
    {
        SafeFileHandle socket = end.Handle!;
        if (end.IsListening)
        {
            end.Listen((int)end.Saved.Backlog);
        }

        if (end.Saved.Shutdown != SkShutdown.None)
        {
            SocketCall.Shutdown(socket, (int)end.Saved.Shutdown);
        }

        SocketOptions.Restore(socket, end.Saved.Opts);
        if (end.Extra is { } extra)
        {
            RestoreOwnOptions(socket, extra);
        }

        Fcntl.Control(socket, Fcntl.F_SETFL, (int)end.Saved.Flags & (Fcntl.O_NONBLOCK | Fcntl.O_APPEND));
    }

    private static void RestoreOwnOptions(SafeFileHandle socket, CriupsSocketEntry extra)
    {
        if (extra.HasPeekOffset)
        {
            SocketOption.Set(socket, SocketOption.SO_PEEK_OFF, extra.PeekOffset);
        }

        if (extra.PassPidfd)
        {
            SocketOption.Set(socket, SocketOption.SO_PASSPIDFD, 1);
        }

        if (extra.TakesNoFiles)
        {
            SocketOption.Set(socket, SocketOption.SO_PASSRIGHTS, 0);
        }

        if (extra.FilterLocked)
        {
            SocketOption.Set(socket, SocketOption.SO_LOCK_FILTER, 1);
        }
    }
}
