using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects.Files;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Sockets;

/// <summary>
/// A socket of the unix(7) family (struct unix_sock): type, name, peer, queue, options. sock_diag(7) tells how sockets belong together, getsockopt(2) and peeking
/// tell the rest of the very socket. All sockets of a tree are made together, see <see cref="UnixOpening"/>.
/// </summary>
internal sealed class UnixSocketFile : IFileKind
{
    /// <summary>States of a socket (TCP_ESTABLISHED, TCP_CLOSE, TCP_LISTEN).</summary>
    public const int Connected = 1, Unconnected = 7, Listening = 10;

    /// <summary>Marks of a socket in images: one outside of the tree, the one of a service, one that a plugin knows, one that is given by whoever restores.</summary>
    public const uint Outside = 1, Service = 2, OfPlugin = 4, Inherited = 8;

    /// <summary>Both directions are shut (SHUTDOWN_MASK).</summary>
    public const int BothShut = 3;

    private const int NoPeekOffset = -1;

    private static readonly ServiceSocket s_service = new();

    public FdTypes Type => FdTypes.Unixsk;

    public bool Recognizes(OpenFile file) => UnixSockets.Is(file);

    public (string Reason, string Remedy)? Objection(OpenFile file, TreeFiles tree)
    {
        if (tree.Sockets.Find(file.Status.st_ino) is not { } socket)
        {
            return ("it is a unix socket of another network namespace", "run this command inside the same namespaces");
        }

        return tree.Queues.Of(file)?.Objection is { } reason
            ? (reason, "let the program read it, or close it before the dump")
            : UnixPeer.Objection(socket, tree);
    }

    public FileEntry Save(OpenFile file, HeldFile held, uint id, FileImages images)
    {
        UnixDiag.Socket socket = images.Tree.Sockets.Find(file.Status.st_ino)!;
        SafeFileHandle handle = held.Handle;
        UnixSkEntry saved = new()
        {
            Id = id, Ino = socket.Inode, Type = (uint)socket.Type, State = (uint)socket.State, Flags = (uint)file.FileFlags, Uflags = 0,
            Backlog = socket.Unread, Fown = FileOwner.Save(file, images.Tree), Opts = SocketOptions.Save(handle), Shutdown = (SkShutdown)socket.Shutdown,
            NsId = Ids.SharedObjects.OfDumper().NetNsId,
        };
        CriupsSocketEntry extra = new() { Id = id };
        UnixName.Save(file, handle, socket, saved, extra);
        SavePeer(file, handle, socket, saved, extra, images);
        SaveOwnOptions(handle, extra);
        images.Sockets.Save(file, extra);
        return new FileEntry { Type = Type, Id = id, Usk = saved };
    }

    public void Validate(FileEntry entry, FileOpening opening)
    {
        if ((entry.Usk.Uflags & Service) != 0)
        {
            s_service.Validate(entry, opening);
            return;
        }

        opening.Sockets.Validate(entry);
    }

    public SafeFileHandle Open(FileEntry entry, FileOpening opening) =>
        (entry.Usk.Uflags & Service) != 0 ? s_service.Open(entry, opening) : opening.Sockets.Take(entry.Id);

    private static void SavePeer(
        OpenFile file, SafeFileHandle handle, UnixDiag.Socket socket, UnixSkEntry saved, CriupsSocketEntry extra, FileImages images)
    {
        saved.Peer = UnixPeer.InImages(socket, images.Tree);
        if (saved.Peer != 0 && !images.Tree.HasSocket(saved.Peer))
        {
            images.Sockets.SaveOutside(images.Tree.Sockets.Find(saved.Peer)!, images);
        }

        // The socket at the other end is no more, or something else takes its place: this end has been told, or will be.
        if (saved.Peer == 0 && socket.Peer is not null)
        {
            extra.PeerClosed = true;
            extra.PeerName = Google.Protobuf.ByteString.CopyFrom(SocketCall.PeerName(handle) ?? []);
            if (socket.Type != UnixSocket.SOCK_DGRAM)
            {
                saved.Shutdown = (SkShutdown)BothShut;
            }
        }

        if (images.Tree.Queues.Of(file)?.IsReset == true)
        {
            extra.Reset = true;
        }

        SaveCredentials(file, handle, socket, extra, images);
        if (socket.State == Listening)
        {
            extra.Pending.AddRange(socket.Pending);
        }
    }

    // Who connects, makes a pair or listens is noted for the other end (SO_PEERCRED). A restore does that as the same user and group; the number is its own.
    private static void SaveCredentials(OpenFile file, SafeFileHandle handle, UnixDiag.Socket socket, CriupsSocketEntry extra, FileImages images)
    {
        PacketSocket.ucred peer = PacketSocket.Peer(handle);
        if (peer.pid != 0 && (peer.uid, peer.gid) != (0, 0))
        {
            (extra.PeerUid, extra.PeerGid) = (peer.uid, peer.gid);
        }

        if (socket.Peer == 0 && images.Tree.Sockets.ListenerOf(socket.Inode) is not null && FileStatus.TryOf($"/proc/{file.Holder}", out FileStatus.stat process, out _)
            && (process.st_uid, process.st_gid) != (0, 0))
        {
            (extra.OwnUid, extra.OwnGid) = (process.st_uid, process.st_gid);
        }
    }

    private static void SaveOwnOptions(SafeFileHandle handle, CriupsSocketEntry extra)
    {
        if (SocketOption.Get<int>(handle, SocketOption.SO_PEEK_OFF) is not NoPeekOffset and int offset)
        {
            extra.PeekOffset = offset;
        }

        if (SocketOption.TryGet(handle, SocketOption.SO_PASSPIDFD) is > 0)
        {
            extra.PassPidfd = true;
        }

        if (SocketOption.TryGet(handle, SocketOption.SO_PASSRIGHTS) == 0)
        {
            extra.TakesNoFiles = true;
        }

        if (SocketOption.TryGet(handle, SocketOption.SO_LOCK_FILTER) is > 0)
        {
            extra.FilterLocked = true;
        }
    }
}
