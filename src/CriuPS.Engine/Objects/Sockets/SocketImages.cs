using CriuPS.Engine.Images;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects.Files;
using Google.Protobuf;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Sockets;

/// <summary>What belongs to unix sockets besides their entries: queues with the files in them, peers outside of the tree, and what CRIU's images cannot say.</summary>
/// <param name="set">The image set.</param>
internal sealed class SocketImages(ImageSet set)
{
    private readonly Dictionary<ulong, CriupsSocketEntry> _extras = [];
    private readonly HashSet<uint> _outside = [];

    /// <summary>Keeps what is known of a socket until all queues are written.</summary>
    public void Save(OpenFile file, CriupsSocketEntry extra) => _extras[file.Status.st_ino] = extra;

    /// <summary>Writes a socket outside of the tree, with which one of the tree is connected.</summary>
    public void SaveOutside(UnixDiag.Socket socket, FileImages images)
    {
        if (!_outside.Add(socket.Inode))
        {
            return;
        }

        uint id = images.NextId();
        images.Write(new FileEntry
        {
            Type = FdTypes.Unixsk, Id = id,
            Usk = new UnixSkEntry
            {
                Id = id, Ino = socket.Inode, Type = UnixSocket.SOCK_DGRAM, State = UnixSocketFile.Listening, Flags = 0, Uflags = UnixSocketFile.Outside, Backlog = 0,
                Peer = 0, Fown = FileOwner.None(), Name = ByteString.CopyFrom(socket.Name),
                Opts = new SkOptsEntry { SoSndbuf = 0, SoRcvbuf = 0, SoSndTmoSec = 0, SoSndTmoUsec = 0, SoRcvTmoSec = 0, SoRcvTmoUsec = 0 },
            },
        });
    }

    /// <summary>Writes the queues, when all descriptors have been saved: what is on its way in them may be open elsewhere too.</summary>
    public void Finish(FileImages images)
    {
        if (_extras.Count == 0)
        {
            return;
        }

        using SafeFileHandle self = PidFd.Open(Environment.ProcessId);
        ImageWriter? queues = null;
        foreach (SocketQueue queue in images.Tree.Queues.All.Where(queue => queue.Messages.Count > 0 && !images.Tree.IsReplaced(queue.Socket)))
        {
            queues ??= set.CreateWriter(ImageType.SocketQueues);
            uint id = IdOf(queue.Socket, self, images);
            CriupsSocketEntry extra = _extras[queue.Socket.Status.st_ino];
            for (int i = 0; i < queue.Messages.Count; i++)
            {
                Write(queues, id, queue.Messages[i], self, images);
                AddExtra(extra, i, queue.Messages[i]);
            }
        }

        CriupsSocketEntry[] extras = [.. _extras.Values.Where(extra => extra.CalculateSize() > new CriupsSocketEntry { Id = extra.Id }.CalculateSize())];
        if (extras.Length > 0)
        {
            ImageWriter writer = set.CreateWriter(ImageType.CriupsSockets);
            Array.ForEach(extras, writer.Write);
        }
    }

    private static void Write(ImageWriter queues, uint id, SocketMessage message, SafeFileHandle self, FileImages images)
    {
        SkPacketEntry packet = new() { IdFor = id, Length = (uint)message.Data.Length };
        if (message.Files.Count > 0)
        {
            ScmEntry rights = new() { Type = UnixSocket.SCM_RIGHTS };
            rights.Rights.AddRange(images.Tree.Queues.FilesOf(message).Select(file => IdOf(file, self, images)));
            packet.Scm.Add(rights);
        }

        queues.Write(packet);
        queues.WritePayload(message.Data);
    }

    private static void AddExtra(CriupsSocketEntry extra, int index, SocketMessage message)
    {
        if (message.Sender.Length == 0 && message.Credentials is not { pid: not 0 })
        {
            return;
        }

        CriupsPacketEntry packet = new() { Index = (uint)index };
        if (message.Sender.Length > 0)
        {
            packet.Sender = ByteString.CopyFrom(message.Sender);
        }

        if (message.Credentials is { pid: not 0 } sender)
        {
            (packet.Pid, packet.Uid, packet.Gid) = ((uint)sender.pid, sender.uid, sender.gid);
        }

        extra.Packets.Add(packet);
    }

    // A file that is open nowhere else is saved here; we hold it ourselves.
    private static uint IdOf(OpenFile file, SafeFileHandle self, FileImages images) => images.Save(file, FileKinds.Find(file), self, out _);
}
