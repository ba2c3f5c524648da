using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using Google.Protobuf;

namespace CriuPS.Engine.Objects.Sockets;

/// <summary>
/// Makes unix sockets without connections (SOCK_DGRAM). Each may have another one to which it sends. One without a name can be reached through socketpair(2)
/// alone; the others are connected in an order in which the kernel lets them: whoever has chosen an addressee takes nothing from others (unix_may_send).
/// </summary>
/// <param name="ends">The sockets.</param>
/// <param name="places">Where their names are.</param>
internal sealed class UnixDatagrams(IReadOnlyList<UnixEnd> ends, UnixPlaces places) : IDisposable
{
    private readonly List<UnixEnd> _temporary = [];

    /// <summary>Makes all of them, not connected yet where that can be done later.</summary>
    public void Make()
    {
        foreach (UnixEnd end in ends.Where(end => end.Peer is null && end.Extra is { PeerClosed: true }))
        {
            end.Peer = Temporary(end.Saved.NameDir, end.Extra!.PeerName);
            end.Peer.Peer = end.Peer.HasName ? null : end;
        }

        foreach (UnixEnd end in ends.Where(end => end.Peer is { HasName: false, Handle: null }))
        {
            UnixEnd peer = end.Peer!;
            end.AsPeer(() => (end.Handle, peer.Handle) = SocketOption.Pair(UnixSocket.SOCK_DGRAM | Fcntl.O_NONBLOCK));
            end.IsConnected = true;
            if (peer.Peer == end)
            {
                peer.IsConnected = true;
            }
            else
            {
                SocketCall.Disconnect(peer.Handle!);
            }
        }

        foreach (UnixEnd end in ends.Where(end => end.Handle is null && NeedsFeeder(end)))
        {
            UnixEnd feeder = Temporary(ByteString.Empty, ByteString.Empty);
            (end.Handle, feeder.Handle) = SocketOption.Pair(UnixSocket.SOCK_DGRAM | Fcntl.O_NONBLOCK);
            SocketCall.Disconnect(end.Handle);
            feeder.Peer = end;
        }

        foreach (UnixEnd end in ends.Concat(_temporary))
        {
            end.Handle ??= SocketCall.Unix(UnixSocket.SOCK_DGRAM);
            Name(end);
        }
    }

    /// <summary>Sends again what waited in the queues.</summary>
    public void Fill(UnixQueueing queueing)
    {
        foreach (UnixEnd end in ends.Where(end => end.Queue.Count > 0))
        {
            UnixEnd? feeder = ends.Concat(_temporary).FirstOrDefault(other => other.Peer == end && (other.IsConnected || !end.HasName));
            queueing.FillDatagrams(end, feeder, () => Connect(end));
        }
    }

    /// <summary>Connects those that are not yet.</summary>
    public void Connect()
    {
        foreach (UnixEnd end in ends)
        {
            Connect(end);
        }
    }

    public void Dispose()
    {
        foreach (UnixEnd end in _temporary)
        {
            end.Handle?.Dispose();
        }
    }

    private static bool NeedsFeeder(UnixEnd end) => end is { HasName: false, Queue.Count: > 0 };

    // Who sends to a socket connects before that chooses where to send itself.
    private void Connect(UnixEnd end)
    {
        if (end.IsConnected || end.Peer is not { } peer)
        {
            return;
        }

        end.IsConnected = true;
        foreach (UnixEnd client in ends.Where(client => client.Peer == end && client != peer))
        {
            Connect(client);
        }

        int errno = places.TryConnect(end.Handle!, peer);
        if (errno != 0)
        {
            throw peer.IsOutside
                ? new CriuException("ExternalFileMissing", CriuErrorKind.NotFound, $"{end} cannot be connected with the socket outside of the tree that it sent to")
                {
                    Subject = end.ToString(), Errno = errno, Remedy = "start the program that has that socket first",
                }
                : new KernelException($"connect of {end} to {peer}", errno);
        }
    }

    private UnixEnd Temporary(ByteString directory, ByteString name)
    {
        UnixEnd made = new(new UnixSkEntry { Type = UnixSocket.SOCK_DGRAM, State = UnixSocketFile.Unconnected, Name = name, NameDir = directory, Deleted = true }, null);
        _temporary.Add(made);
        return made;
    }

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
        else if (places.TryBind(end) is not 0 and int errno)
        {
            throw new KernelException("bind of a socket that was closed and is somebody's addressee", errno);
        }
    }
}
