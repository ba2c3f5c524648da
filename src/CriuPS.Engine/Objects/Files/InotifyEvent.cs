using System.Buffers.Binary;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using Google.Protobuf;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Files;

/// <summary>An event as inotify(7) lets it be read.</summary>
/// <param name="Watch">The watch that saw it; -1 where events were lost.</param>
/// <param name="Mask">One IN_* event, and IN_ISDIR.</param>
/// <param name="Cookie">What the two halves of a rename have in common; 0 for every other event.</param>
/// <param name="Name">The file in the watched directory; empty where it is about what is watched itself.</param>
internal readonly record struct InotifyEvent(int Watch, uint Mask, uint Cookie, byte[] Name)
{
    private const int BufferSize = 1 << 16, NameOffset = Notification.InotifyEventSize;

    /// <summary>The event without marks.</summary>
    public uint Kind => Mask & ~Notification.IN_ISDIR;

    /// <summary>How many bytes a reader gets: the name has a zero byte behind it, and is filled up to a multiple of the event's own size.</summary>
    public int Size => NameOffset + (Name.Length == 0 ? 0 : (Name.Length / NameOffset + 1) * NameOffset);

    public bool IsAboutDirectory => (Mask & Notification.IN_ISDIR) != 0;

    /// <summary>Takes all events out of a queue.</summary>
    public static List<InotifyEvent> TakeAll(SafeFileHandle inotify)
    {
        List<InotifyEvent> events = [];
        byte[] buffer = new byte[BufferSize];
        while (EventFiles.Readable(inotify) > 0)
        {
            int length = (int)Syscall.Check(FileRead.Read(inotify, buffer), "read of inotify events");
            for (ReadOnlySpan<byte> rest = buffer.AsSpan(0, length); !rest.IsEmpty;)
            {
                int nameRoom = BinaryPrimitives.ReadInt32LittleEndian(rest[12..]);
                events.Add(new InotifyEvent(
                    BinaryPrimitives.ReadInt32LittleEndian(rest), BinaryPrimitives.ReadUInt32LittleEndian(rest[4..]),
                    BinaryPrimitives.ReadUInt32LittleEndian(rest[8..]), rest.Slice(NameOffset, nameRoom).TrimEnd((byte)0).ToArray()));
                rest = rest[(NameOffset + nameRoom)..];
            }
        }

        return events;
    }

    public static InotifyEvent From(CriupsInotifyEventEntry entry) => new(entry.Watch, entry.Mask, entry.Cookie, entry.Name.ToByteArray());

    public CriupsInotifyEventEntry ToEntry()
    {
        CriupsInotifyEventEntry entry = new() { Watch = Watch, Mask = Mask, Cookie = Cookie };
        if (Name.Length > 0)
        {
            entry.Name = ByteString.CopyFrom(Name);
        }

        return entry;
    }
}
