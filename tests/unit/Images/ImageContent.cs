using CriuPS.Engine.Images;
using CriuPS.Engine.Images.Schema;
using Google.Protobuf;

namespace CriuPS.Tests.Images;

/// <summary>What a random image file of a kind holds: messages, and after each the bytes that belong to it.</summary>
internal sealed class ImageContent
{
    private const uint RegularFile = 0x81a4; // S_IFREG | 0644

    private readonly RandomMessage _random;

    public ImageContent(ImageType type, int seed, Action<IMessage>? adapt = null)
    {
        Type = type;
        _random = new RandomMessage(seed);
        bool split = _random.Below(2) == 0;
        int count = type.IsSingle ? 1 : 1 + _random.Below(8);
        for (int i = 0; i < count; i++)
        {
            IRequiredFields message = _random.Make(i > 0 && type.FollowingMessage is { } following ? following : type.Message!);
            adapt?.Invoke(message);
            Entries.Add((message, Payload(message, split)));
            if (message is GhostFileEntry { Chunks: false })
            {
                break;
            }
        }
    }

    /// <summary>The kind.</summary>
    public ImageType Type { get; }

    /// <summary>Messages and the bytes after each, without frames and padding.</summary>
    public List<(IRequiredFields Message, byte[] Payload)> Entries { get; } = [];

    /// <summary>Writes the file.</summary>
    /// <returns>Where it is.</returns>
    public string WriteTo(TemporaryDirectory directory)
    {
        string path = directory[Type.FileName(Type.HasId ? 7UL : null)];
        using ImageWriter writer = ImageWriter.Create(path, Type);
        Entries.ForEach(entry => Write(writer, entry.Message, entry.Payload));
        return path;
    }

    /// <summary>All bytes that belong to the entry that was read last, in the form of <see cref="Entries"/>.</summary>
    public static byte[] ReadPayload(ImageReader reader)
    {
        if (reader.Type.Payload != ImagePayload.IpcMessages)
        {
            return reader.ReadPayload();
        }

        var all = new List<byte>();
        while (reader.TryReadMessage(out byte[] text) is not null)
        {
            all.AddRange(text);
        }

        return [.. all];
    }

    private byte[] Payload(IMessage message, bool split)
    {
        int length = _random.Below(3) == 0 ? _random.Below(100_000) : _random.Below(20);
        switch (message)
        {
            case PipeDataEntry pipe:
                pipe.Bytes = (uint)length;
                break;
            case SkPacketEntry packet:
                packet.Length = (uint)length;
                break;
            case TcpStreamEntry stream:
                stream.InqLen = (uint)_random.Below(length + 1);
                stream.OutqLen = (uint)length - stream.InqLen;
                break;
            case BpfmapDataEntry map:
                map.KeysBytes = (uint)_random.Below(length + 1);
                map.ValuesBytes = (uint)length - map.KeysBytes;
                break;
            case IpcShmEntry segment:
                segment.Size = segment.InPagemaps ? segment.Size : (ulong)length;
                length = segment.InPagemaps ? 0 : length;
                break;
            case IpcSemEntry set:
                set.Nsems = (uint)length / 2;
                length = length / 2 * 2;
                break;
            case IpcMsgEntry queue:
                queue.Qnum = (uint)_random.Below(4);
                length = (int)queue.Qnum * 13;
                break;
            case GhostFileEntry ghost:
                ghost.Mode = RegularFile;
                ghost.Chunks = split;
                length = split ? 0 : length;
                break;
            case GhostChunkEntry chunk:
                chunk.Len = (ulong)length;
                break;
            default:
                return [];
        }

        return _random.Bytes(length);
    }

    private static void Write(ImageWriter writer, IRequiredFields message, byte[] payload)
    {
        writer.Write(message);
        if (message is IpcMsgEntry queue)
        {
            for (int i = 0; i < queue.Qnum; i++)
            {
                writer.Write(new IpcMsg { Mtype = (ulong)i, Msize = 13 });
                writer.WritePayload(payload.AsSpan(i * 13, 13));
                writer.WritePadding(13, sizeof(ulong));
            }

            return;
        }

        writer.WritePayload(payload);
        int alignment = writer.Type.Payload switch
        {
            ImagePayload.Semaphores => sizeof(ulong),
            ImagePayload.SharedMemory => sizeof(uint),
            _ => 1,
        };
        writer.WritePadding(payload.Length, alignment);
    }
}
