using CriuPS.Engine.Errors;
using CriuPS.Engine.Images;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects.Files;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Sockets;

/// <summary>
/// The restore's half of unix sockets. They are made all at once, because they need each other: names first, then connections, then what waits in them, then what
/// would be in the way of that: shut directions and options.
/// </summary>
/// <param name="set">The image set.</param>
/// <param name="files">What files share.</param>
internal sealed class UnixOpening(ImageSet set, FileOpening files) : IDisposable
{
    private readonly List<(FileEntry Entry, UnixEnd End)> _ends = [];
    private Dictionary<uint, UnixEnd>? _byId;
    private Dictionary<uint, CriupsSocketEntry>? _extras;
    private readonly UnixSockets _present = new();
    private UnixPlaces? _places;

    /// <summary>Whether the set has any.</summary>
    public bool IsEmpty => _ends.Count == 0;

    /// <summary>The ids of files that travel in queues, each as often as it does.</summary>
    public IEnumerable<uint> Travellers => Ends.SelectMany(end => end.Queue).SelectMany(message => message.Files);

    /// <summary>The ids of files that are on their way to a socket, through however many others.</summary>
    public IEnumerable<uint> TravellersTo(uint id)
    {
        HashSet<uint> seen = [];
        Stack<uint> sockets = new([id]);
        while (sockets.TryPop(out uint socket))
        {
            foreach (uint traveller in ById.TryGetValue(socket, out UnixEnd? end) ? end.Queue.SelectMany(message => message.Files).Where(seen.Add) : [])
            {
                yield return traveller;
                sockets.Push(traveller);
            }
        }
    }

    private IEnumerable<UnixEnd> Ends => ById.Values;

    private Dictionary<uint, UnixEnd> ById => _byId ??= ReadQueues();

    /// <summary>Notes a socket of the set.</summary>
    public void Add(FileEntry entry)
    {
        if ((entry.Usk.Uflags & UnixSocketFile.Service) == 0)
        {
            _extras ??= set.ReadAll<CriupsSocketEntry>(ImageType.CriupsSockets).DistinctBy(e => e.Id).ToDictionary(e => e.Id);
            _ends.Add((entry, new UnixEnd(entry.Usk, _extras.GetValueOrDefault(entry.Id))));
        }
    }

    /// <summary>Fails if a socket cannot be made as it was; nothing is changed.</summary>
    public void Validate(FileEntry entry)
    {
        UnixEnd end = ById[entry.Id];
        if (entry.Usk.Type is not (UnixSocket.SOCK_STREAM or UnixSocket.SOCK_DGRAM or UnixSocket.SOCK_SEQPACKET)
            || entry.Usk.State is not (UnixSocketFile.Connected or UnixSocketFile.Unconnected or UnixSocketFile.Listening))
        {
            throw Malformed($"{end} has a type or state that there is none of");
        }

        if ((entry.Usk.Uflags & UnixSocketFile.OfPlugin) != 0)
        {
            throw new CriuException("FileKindNotSupported", CriuErrorKind.NotSupported, "it is a unix socket that a plugin of CRIU saved");
        }

        if (entry.Usk.Peer != 0 && end.Peer is null)
        {
            throw Malformed($"{end} is connected with {entry.Usk.Peer}, which is not there");
        }

        ValidateOutside(end);
        ValidatePlace(end);
    }

    /// <summary>Makes all sockets.</summary>
    /// <param name="open">Opens a file that travels in a queue; it stays the opener's.</param>
    public void Make(Func<uint, SafeFileHandle> open)
    {
        UnixEnd[] ends = [.. _ends.Where(e => !e.End.IsOutside && !files.Inherited.Replaces(e.Entry)).Select(e => e.End)];
        using UnixPlaces places = _places = new UnixPlaces();
        UnixMaking making = new(ends, places, id => ById.GetValueOrDefault(id)?.Handle ?? open(id), files.MakeMomentaryProcess);

        // Paths and users belong to a thread.
        if (Ends.Any(end => end.HasPath || end.NamesUsers || end.Extra is { HasPeerName: true }))
        {
            FileSystemContext.Run(making.Run);
        }
        else
        {
            making.Run();
        }
    }

    /// <summary>Gives a socket away.</summary>
    public SafeFileHandle Take(uint id)
    {
        UnixEnd end = ById[id];
        SafeFileHandle taken = end.Handle!;
        end.Handle = null;
        return taken;
    }

    /// <summary>Removes the files that were made, after a failure.</summary>
    public void TakeBack() => _places?.TakeBack();

    public void Dispose() => _ends.ForEach(e => e.End.Handle?.Dispose());

    private void ValidateOutside(UnixEnd end)
    {
        if (end.Peer is not { IsOutside: true } outside)
        {
            return;
        }

        if (!files.Choices.SocketsMayEndOutside)
        {
            throw new CriuException("ExternalSocket", CriuErrorKind.BadOption, $"{end} was connected with a socket outside of the tree")
            {
                Subject = end.ToString(), Remedy = $"use -ExtUnixSk, or -InheritFd fd[N]:{end} with the number of a descriptor of yours",
            };
        }

        if (!outside.HasName || !end.IsDatagram)
        {
            throw new CriuException("ExternalFileMissing", CriuErrorKind.NotFound, $"{end} was connected with a socket outside of the tree that has no name")
            {
                Subject = end.ToString(), Remedy = $"use -InheritFd fd[N]:{end} with the number of a descriptor of yours",
            };
        }
    }

    // A file that a dead socket has left behind may make way; one that somebody listens at, or that is something else, may not.
    private void ValidatePlace(UnixEnd end)
    {
        if (end.Place is not { } place)
        {
            return;
        }

        string name = new Proc.OsText(place).ToDisplayString();
        if (FileStatus.TryOf(place, out FileStatus.stat found, out int errno, followLinks: false))
        {
            bool isSocket = (found.st_mode & FileStatus.S_IFMT) == FileStatus.S_IFSOCK;
            if (!isSocket || _present.IsBound(found))
            {
                throw new CriuException(
                    "SocketPathInUse", CriuErrorKind.AlreadyExists, $"{end} was bound to {name}, {(isSocket ? "which somebody else is bound to" : "where another file is")}")
                {
                    Subject = name, Remedy = "end that program, or move the file",
                };
            }
        }
        else if (errno != Errno.ENOENT || !FileStatus.TryOf(place.AsSpan(0, place.AsSpan().LastIndexOf((byte)'/') + 1), out _, out errno))
        {
            throw new CriuException("SocketDirectoryMissing", CriuErrorKind.NotFound, $"{end} was bound to {name}, whose directory cannot be entered")
            {
                Subject = name, Errno = errno, Remedy = "make the directory",
            };
        }
    }

    private Dictionary<uint, UnixEnd> ReadQueues()
    {
        Dictionary<uint, UnixEnd> byId = [], byInode = [];
        foreach ((FileEntry entry, UnixEnd end) in _ends)
        {
            byId.TryAdd(entry.Id, end);
            byInode.TryAdd(entry.Usk.Ino, end);
        }

        foreach (UnixEnd end in byId.Values)
        {
            end.Peer = end.Saved.Peer == 0 ? null : byInode.GetValueOrDefault(end.Saved.Peer);
        }

        using ImageReader? reader = IsEmpty ? null : set.OpenReader(ImageType.SocketQueues);
        while (reader?.Read<SkPacketEntry>() is { } packet)
        {
            byte[] data = reader.ReadPayload();
            UnixEnd end = byId.GetValueOrDefault(packet.IdFor) ?? throw Malformed($"a message is for file {packet.IdFor}, which is no unix socket");
            end.Queue.Add(new QueuedMessage(packet, data, end.Extra?.Packets.FirstOrDefault(extra => extra.Index == end.Queue.Count)));
        }

        return byId;
    }

    private static ImageException Malformed(string reason) => new(ImageException.MalformedEntry, "files.img", 0, reason);
}
