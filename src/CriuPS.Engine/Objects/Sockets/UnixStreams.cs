using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using Google.Protobuf;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Sockets;

/// <summary>
/// Makes unix sockets with connections (SOCK_STREAM, SOCK_SEQPACKET). Both ends of one come from socketpair(2), unless one of them was accepted: it has the name
/// of the socket that listened, which only a connection to such a one gives it. An end whose other end is closed is connected with one that is closed again.
/// </summary>
/// <param name="ends">The sockets.</param>
/// <param name="places">Where their names are.</param>
internal sealed class UnixStreams(IReadOnlyList<UnixEnd> ends, UnixPlaces places) : IDisposable
{
    private const int Patience = 4096;

    private readonly List<UnixEnd> _temporary = [];

    /// <summary>Makes all but those whose connections wait to be accepted.</summary>
    public void Make()
    {
        foreach (UnixEnd end in ends.Where(end => end.Saved.State != UnixSocketFile.Connected))
        {
            end.Handle = SocketCall.Unix((int)end.Saved.Type);
            if (end.HasName)
            {
                places.Bind(end);
            }

            if (end.IsListening)
            {
                // As long as the queue may be: connections that wait, and strangers who come too early.
                end.Listen(Patience);
            }
        }

        foreach (UnixEnd end in ends.Where(end => end.Saved.State == UnixSocketFile.Connected && !end.IsPending))
        {
            if (end.Handle is null)
            {
                end.Peer = end.Peer is { IsOutside: false } peer && ends.Contains(peer) ? peer : Closed(end);
                Join(end, end.Peer);
            }
        }
    }

    /// <summary>Connects those that wait to be accepted, each listener's in the order in which they came.</summary>
    public void ConnectPending()
    {
        foreach (UnixEnd end in ends.Where(end => end.IsPending).OrderBy(PlaceInQueue))
        {
            end.Handle = SocketCall.Unix((int)end.Saved.Type);
            Name(end);
            void Come() => Connect(end, end.Peer!);

            if (end.Extra is { HasOwnUid: true } known)
            {
                ThreadCredentials.RunAs(known.OwnUid, known.OwnGid, Come);
            }
            else
            {
                Come();
            }
        }
    }

    /// <summary>Lets the news wait for those ends that have not heard yet that the other end was closed with something left to read.</summary>
    public void ResetBroken()
    {
        foreach (UnixEnd end in ends.Where(end => end.Extra is { Reset: true } && end.Peer is not null && _temporary.Contains(end.Peer)))
        {
            SocketMessage.TrySend(end.Handle!, [0], [], [], null, 0, out _);
        }
    }

    public void Dispose()
    {
        foreach (UnixEnd end in _temporary)
        {
            end.Handle?.Dispose();
        }
    }

    private static int PlaceInQueue(UnixEnd end) => end.Peer!.Extra?.Pending.IndexOf(end.Saved.Ino) ?? 0;

    // The other end of a connection that is no more.
    private UnixEnd Closed(UnixEnd end) => Temporary(end, end.Extra?.PeerName ?? ByteString.Empty, UnixSocketFile.Connected);

    private UnixEnd Temporary(UnixEnd end, ByteString name, int state)
    {
        UnixEnd made = new(new UnixSkEntry { Type = end.Saved.Type, State = (uint)state, Name = name, NameDir = end.Saved.NameDir, Deleted = true }, null) { Peer = end };
        _temporary.Add(made);
        return made;
    }

    private void Join(UnixEnd one, UnixEnd other)
    {
        if (WasAccepted(one))
        {
            Accept(one, other);
        }
        else if (WasAccepted(other))
        {
            Accept(other, one);
        }
        else
        {
            one.AsPeer(() => (one.Handle, other.Handle) = SocketOption.Pair((int)one.Saved.Type | Fcntl.O_NONBLOCK));
            Name(one);
            Name(other);
        }
    }

    // Two sockets cannot be bound to one name: who has the name of another one was accepted by it.
    private bool WasAccepted(UnixEnd end) => end.HasName && ends.Any(other => other != end && other != end.Peer && other.HasNameOf(end));

    private void Accept(UnixEnd accepted, UnixEnd client)
    {
        UnixEnd listener = ends.FirstOrDefault(end => end.IsListening && end.HasNameOf(accepted) && end.Saved.Deleted == accepted.Saved.Deleted)
            ?? ends.FirstOrDefault(end => end.IsListening && end.HasNameOf(accepted)) ?? Listener(accepted);
        client.Handle = SocketCall.Unix((int)client.Saved.Type);
        Name(client);
        accepted.AsPeer(() => Connect(client, listener));
        while (accepted.Handle is null)
        {
            SafeFileHandle? connection = PacketSocket.TryAccept(listener.Handle!);
            if (connection is not null && PacketSocket.Peer(connection).pid == Environment.ProcessId)
            {
                Fcntl.Control(connection, Fcntl.F_SETFL, Fcntl.O_NONBLOCK);
                accepted.Handle = connection;
            }
            else
            {
                // A stranger who knows the name came first.
                connection?.Dispose();
            }
        }
    }

    // The one that listened is no more.
    private UnixEnd Listener(UnixEnd accepted)
    {
        if (_temporary.Find(end => end.IsListening && end.HasNameOf(accepted)) is { } known)
        {
            return known;
        }

        UnixEnd listener = Temporary(accepted, accepted.Saved.Name, UnixSocketFile.Listening);
        listener.Handle = SocketCall.Unix((int)accepted.Saved.Type);
        places.Bind(listener);
        SocketCall.Listen(listener.Handle, Patience);
        return listener;
    }

    private void Connect(UnixEnd client, UnixEnd listener)
    {
        int errno = places.TryConnect(client.Handle!, listener);
        if (errno != 0)
        {
            throw new KernelException($"connect of {client} to {listener}", errno);
        }
    }

    // A name of one that is closed, which is told to whom it was connected with, may be somebody else's by now.
    private void Name(UnixEnd end)
    {
        if (!end.HasName)
        {
            return;
        }

        if (!_temporary.Contains(end))
        {
            places.Bind(end);
        }
        else if (places.TryBind(end) is not (0 or Errno.EADDRINUSE) and int errno)
        {
            throw new KernelException($"bind of the socket that {end.Peer} was connected with", errno);
        }
    }
}
