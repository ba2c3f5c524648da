using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects.Files;

namespace CriuPS.Engine.Objects.Sockets;

/// <summary>The other end of a unix socket (unix_peer, net/unix/af_unix.c): in the tree, closed, waiting to be accepted, or outside, where it cannot be saved.</summary>
internal static class UnixPeer
{
    /// <summary>Why a socket cannot be dumped with the other end that it has; null where it can.</summary>
    public static (string Reason, string Remedy)? Objection(UnixDiag.Socket socket, TreeFiles tree)
    {
        if (socket.State == UnixSocketFile.Listening)
        {
            return PendingObjection(socket, tree);
        }

        if (socket.Peer is null or 0)
        {
            return socket.Type == UnixSocket.SOCK_DGRAM || socket.Peer is null || socket.State != UnixSocketFile.Connected ? null : UnacceptedObjection(socket, tree);
        }

        if (tree.HasSocket(socket.Peer.Value) || tree.IsExternalSocket(socket.Inode))
        {
            return null;
        }

        UnixDiag.Socket? peer = tree.Sockets.Find(socket.Peer.Value);
        bool named = socket.Type == UnixSocket.SOCK_DGRAM && peer is { Name.Length: > 0 };
        return named && tree.SocketsMayEndOutside ? null : (
            $"it is connected with socket:[{socket.Peer}]{Named(peer)}{HolderOf(socket.Peer.Value, tree)}",
            named ? "dump both together, or use -ExtUnixSk: it will be connected with that name again" : "dump both together, or close it");
    }

    /// <summary>The inode of the other end as images have it: 0 for none; for a connection that is not accepted yet, that of the socket which listens.</summary>
    public static uint InImages(UnixDiag.Socket socket, TreeFiles tree)
    {
        if (socket.Peer is null)
        {
            return 0;
        }

        if (socket.Peer == 0)
        {
            return socket.Type != UnixSocket.SOCK_DGRAM && tree.Sockets.ListenerOf(socket.Inode) is { } listener ? listener.Inode : 0;
        }

        return tree.IsReplacedSocket(socket.Peer.Value) ? 0 : socket.Peer.Value;
    }

    private static (string Reason, string Remedy)? PendingObjection(UnixDiag.Socket listener, TreeFiles tree)
    {
        const string Remedy = "let the program accept it";
        foreach (uint pending in listener.Pending)
        {
            if (pending == 0)
            {
                return ("a connection waits in it that its other end has closed again", Remedy);
            }

            if (!tree.HasSocket(pending))
            {
                return ($"a connection waits in it from socket:[{pending}]{HolderOf(pending, tree)}", Remedy);
            }
        }

        return null;
    }

    // What it has sent lies in a socket that is open nowhere.
    private static (string Reason, string Remedy)? UnacceptedObjection(UnixDiag.Socket socket, TreeFiles tree)
    {
        if (tree.Sockets.ListenerOf(socket.Inode) is not { } listener)
        {
            return socket.Shutdown == UnixSocketFile.BothShut ? null : ("its other end is open nowhere, and waits in no queue that can be seen", "close it before the dump");
        }

        return !tree.HasSocket(listener.Inode)
            ? ($"its connection waits to be accepted by socket:[{listener.Inode}]{Named(listener)}{HolderOf(listener.Inode, tree)}", "try again later, or dump both together")
            : socket.Unread != 0
                ? ("what it has sent waits in a connection that is not accepted yet", "let the other program accept it")
                : null;
    }

    private static string Named(UnixDiag.Socket? socket) => socket is { Name.Length: > 0 }
        ? $" named {UnixName.Describe(socket.Name)}"
        : "";

    private static string HolderOf(uint inode, TreeFiles tree) => tree.Sockets.HolderOf(inode) is { } holder
        ? $" of process {holder.Pid} ({holder.Name}), which is not dumped with it"
        : ", which is not dumped with it";
}
