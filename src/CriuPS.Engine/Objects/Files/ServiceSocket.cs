using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects.Sockets;
using Google.Protobuf;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// The socket over which a process asked a service for its own dump (unix(7)). Its other end is the service's and cannot be saved, and need
/// not be: the process waits on it for one message. So it is saved as an unconnected socket with a mark, and comes back as one end of a new
/// pair (socketpair(2)) in which the response already lies that says "you are the copy that was restored"; after it, the end of the stream.
/// </summary>
internal sealed class ServiceSocket : IFileKind
{
    private const int SettableFlags = Fcntl.O_NONBLOCK;

    public FdTypes Type => FdTypes.Unixsk;

    public bool Recognizes(OpenFile file) => file.IsServiceSocket;

    public (string Reason, string Remedy)? Objection(OpenFile file, TreeFiles tree) => null;

    public FileEntry Save(OpenFile file, HeldFile held, uint id, FileImages images) => new()
    {
        Type = Type, Id = id,
        Usk = new UnixSkEntry
        {
            Id = id, Ino = (uint)file.Status.st_ino, Type = (uint)SocketOption.Get<int>(held.Handle, SocketOption.SO_TYPE), State = UnixSocketFile.Unconnected,
            Flags = (uint)file.FileFlags, Uflags = UnixSocketFile.Service, Backlog = 0, Peer = 0, Fown = FileOwner.None(), Opts = SaveOptions(held.Handle),
            Name = ByteString.Empty,
        },
    };

    public void Validate(FileEntry entry, FileOpening opening)
    {
        if (entry.Usk is not { Uflags: UnixSocketFile.Service, Type: UnixSocket.SOCK_SEQPACKET })
        {
            throw new Errors.CriuException("FileKindNotSupported", Errors.CriuErrorKind.NotSupported, "it is a unix socket, which is not supported yet");
        }
    }

    public SafeFileHandle Open(FileEntry entry, FileOpening opening)
    {
        (SafeFileHandle own, SafeFileHandle other) = SocketOption.Pair((int)entry.Usk.Type);
        using (other)
        {
            CriuResp restored = new() { Type = CriuReqType.Dump, Success = true, Dump = new CriuDumpResp { Restored = true } };
            PacketSocket.TrySend(other, restored.ToByteArray());
        }

        Fcntl.Control(own, Fcntl.F_SETFL, (int)entry.Usk.Flags & SettableFlags);
        RestoreOptions(own, entry.Usk.Opts);
        return own;
    }

    private static SkOptsEntry SaveOptions(SafeFileHandle socket)
    {
        SkOptsEntry saved = SocketOptions.SaveRequired(socket);
        saved.SoPasscred = SocketOption.Get<int>(socket, SocketOption.SO_PASSCRED) != 0;
        return saved;
    }

    // The sizes of its buffers matter to nobody any more: nothing can be sent over it.
    private static void RestoreOptions(SafeFileHandle socket, SkOptsEntry saved)
    {
        SocketOptions.RestoreTimes(socket, saved);
        SocketOption.Set(socket, SocketOption.SO_PASSCRED, saved.SoPasscred ? 1 : 0);
    }
}
