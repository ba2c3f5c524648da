using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using Google.Protobuf;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Sockets;

/// <summary>Sends again what waited in unix sockets: from the socket that had sent it where that is there, with the files and the sender that were noted.</summary>
/// <param name="ends">All sockets.</param>
/// <param name="places">Where their names are.</param>
/// <param name="open">Opens a file that travels in a queue.</param>
/// <param name="makeProcess">Makes a process with a number for the moment.</param>
internal sealed class UnixQueueing(IReadOnlyList<UnixEnd> ends, UnixPlaces places, Func<uint, SafeFileHandle> open, Action<int> makeProcess) : IDisposable
{
    // The kernel counts the memory of messages, of which the bytes are only a part (skb->truesize).
    private const int Overhead = 4096;

    // What a sender has sent counts until it is received, whoever receives it: each gets room for all.
    private readonly int _room = (int)Math.Min(int.MaxValue / 2, ends.SelectMany(end => end.Queue).Sum(message => (long)message.Data.Length * 2 + Overhead));

    private readonly Dictionary<ByteString, UnixEnd> _senders = [];
    private readonly List<UnixEnd> _temporary = [];

    /// <summary>Fills the queue of an end of a connection, from its other end.</summary>
    public void FillConnected(UnixEnd end)
    {
        if (end.Queue.Count == 0)
        {
            return;
        }

        SafeFileHandle sender = end.Peer?.Handle ?? throw Unsendable(end, Errno.ENOTCONN);
        SocketOptions.Widen(sender, _room);
        foreach (QueuedMessage message in end.Queue)
        {
            int[] files = [.. Files(message)];
            for (int done = 0; done == 0 || done < message.Data.Length;)
            {
                int errno = Try(message, credentials =>
                {
                    int failed = SocketMessage.TrySend(sender, message.Data.AsSpan(done), [], done == 0 ? files : [], credentials, 0, out int sent);
                    done += sent;
                    return failed;
                });
                if (errno != 0)
                {
                    throw Unsendable(end, errno);
                }

                if (message.Data.Length == 0)
                {
                    break;
                }
            }
        }
    }

    /// <summary>Fills the queue of a datagram socket.</summary>
    /// <param name="end">The socket.</param>
    /// <param name="feeder">Who reaches it without a name; null for nobody.</param>
    /// <param name="connect">Connects it with its peer, from whom it takes more than from others.</param>
    public void FillDatagrams(UnixEnd end, UnixEnd? feeder, Action connect)
    {
        foreach (QueuedMessage message in end.Queue)
        {
            int[] files = [.. Files(message)];
            UnixEnd from = feeder ?? (end.IsConnected ? end.Peer! : Sender(end, message.Extra?.Sender ?? ByteString.Empty));
            SocketOptions.Widen(from.Handle!, _room);
            bool direct = from == feeder;
            int Send(PacketSocket.ucred? credentials) => direct
                ? SocketMessage.TrySend(from.Handle!, message.Data, [], files, credentials, 0, out _)
                : places.TrySend(from.Handle!, end, message.Data, files, credentials);

            int errno = Try(message, Send);
            if (errno == Errno.EAGAIN && from == end.Peer)
            {
                connect();
                errno = Try(message, Send);
            }

            if (errno != 0)
            {
                throw Unsendable(end, errno);
            }
        }
    }

    public void Dispose() => _temporary.ForEach(sender => sender.Handle?.Dispose());

    private IEnumerable<int> Files(QueuedMessage message) => message.Files.Select(id => (int)open(id).DangerousGetHandle());

    // A process that sent it may be no more, and a sender can only be noted while he lives.
    private int Try(QueuedMessage message, Func<PacketSocket.ucred?, int> send)
    {
        if (message.Extra is not { HasPid: true } noted)
        {
            return send(null);
        }

        PacketSocket.ucred credentials = new() { pid = (int)noted.Pid, uid = noted.Uid, gid = noted.Gid };
        int errno = send(credentials);
        if (errno == Errno.ESRCH)
        {
            makeProcess(credentials.pid);
            errno = send(credentials);
        }

        return errno == Errno.EPERM ? send(null) : errno;
    }

    // The socket with the name that the sender had, which need not be there any more; another one may have the name until the message is sent.
    private UnixEnd Sender(UnixEnd end, ByteString name)
    {
        if (end.Peer is { HasName: true, Handle: not null } peer && peer.Saved.Name.Equals(name))
        {
            return peer;
        }

        if (!_senders.TryGetValue(name, out UnixEnd? sender))
        {
            sender = (name.IsEmpty ? null : ends.FirstOrDefault(other => other.IsDatagram && other.Saved.Name.Equals(name))) ?? Temporary(name);
            _senders[name] = sender;
        }

        return sender;
    }

    private UnixEnd Temporary(ByteString name)
    {
        UnixEnd sender = new(new UnixSkEntry { Type = UnixSocket.SOCK_DGRAM, Name = name, Deleted = true }, null) { Handle = SocketCall.Unix(UnixSocket.SOCK_DGRAM) };
        _temporary.Add(sender);
        if (!name.IsEmpty && places.TryBind(sender) is not (0 or Errno.EADDRINUSE) and int errno)
        {
            throw new KernelException("bind of a socket that was closed and has sent something", errno);
        }

        return sender;
    }

    private static KernelException Unsendable(UnixEnd end, int errno) => new($"send of what waited in {end}", errno);
}
