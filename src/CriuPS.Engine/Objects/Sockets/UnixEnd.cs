using CriuPS.Engine.Kernel;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Sockets;

/// <summary>A message that is to be sent again to a socket.</summary>
/// <param name="Entry">What CRIU's image says of it.</param>
/// <param name="Data">Its bytes.</param>
/// <param name="Extra">What our own image says of it; null for nothing.</param>
internal sealed record QueuedMessage(SkPacketEntry Entry, byte[] Data, CriupsPacketEntry? Extra)
{
    /// <summary>The ids of the files that travel with it.</summary>
    public IEnumerable<uint> Files => Entry.Scm.Where(scm => scm.Type == UnixSocket.SCM_RIGHTS).SelectMany(scm => scm.Rights);
}

/// <summary>A unix socket that is being made again.</summary>
/// <param name="saved">What CRIU's image says of it.</param>
/// <param name="extra">What our own image says of it; null for nothing.</param>
internal sealed class UnixEnd(UnixSkEntry saved, CriupsSocketEntry? extra)
{
    public UnixSkEntry Saved => saved;

    public CriupsSocketEntry? Extra => extra;

    /// <summary>The socket that it is connected with.</summary>
    public UnixEnd? Peer { get; set; }

    /// <summary>The socket, once it is there and until it is given away.</summary>
    public SafeFileHandle? Handle { get; set; }

    /// <summary>Whether its peer is in place, or needs to be connected yet.</summary>
    public bool IsConnected { get; set; }

    /// <summary>Messages for it.</summary>
    public List<QueuedMessage> Queue { get; } = [];

    public bool IsDatagram => saved.Type == UnixSocket.SOCK_DGRAM;

    public bool IsListening => saved.State == UnixSocketFile.Listening && !IsOutside;

    /// <summary>Whether it belongs to a process outside of the tree.</summary>
    public bool IsOutside => (saved.Uflags & UnixSocketFile.Outside) != 0;

    /// <summary>Whether its connection waits to be accepted.</summary>
    public bool IsPending => !IsDatagram && Peer is { IsListening: true };

    public bool HasName => !saved.Name.IsEmpty;

    public bool HasPath => UnixName.IsPath(saved.Name.Span);

    /// <summary>Its path without the zero byte at the end.</summary>
    public byte[] Path => UnixName.PathOf(saved.Name.Span).ToArray();

    public bool IsRelative => HasPath && saved.Name[0] != '/';

    /// <summary>Where its file is; null where it has none any more, or never had.</summary>
    public byte[]? Place => !HasPath ? null
        : extra is { HasMovedTo: true } ? extra.MovedTo.ToByteArray()
        : extra is { HasRoot: true } ? [.. extra.Root.Span, .. Path]
        : saved.Deleted || IsOutside ? null
        : IsRelative ? UnixName.Join(saved.NameDir.Span, Path) : Path;

    /// <summary>Whether somebody else than root is to be noted somewhere as the one who made it.</summary>
    public bool NamesUsers => extra is { HasPeerUid: true } or { HasOwnUid: true };

    /// <summary>Does what the kernel notes for this end as done by the user at the other end.</summary>
    public void AsPeer(Action action)
    {
        if (extra is { HasPeerUid: true })
        {
            ThreadCredentials.RunAs(extra.PeerUid, extra.PeerGid, action);
        }
        else
        {
            action();
        }
    }

    /// <summary>Lets it take connections.</summary>
    public void Listen(int backlog) => AsPeer(() => SocketCall.Listen(Handle!, backlog));

    /// <summary>Whether two sockets have the same name, which one that was accepted has from the one that listens.</summary>
    public bool HasNameOf(UnixEnd other) => HasName && saved.Name.Equals(other.Saved.Name);

    public override string ToString() => $"socket:[{saved.Ino}]";
}
