using System.Buffers.Binary;
using CriuPS.Engine.Errors;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Images;

/// <summary>
/// Reads one image file entry by entry, in one pass and with bounded memory; pipes serve as well as files. Bytes that belong to an entry can
/// be read before the next entry is, else they are skipped. Whatever the file holds, failures are <see cref="ImageException"/>s that name
/// file and offset. Not for use by two threads at once.
/// </summary>
public sealed class ImageReader : IDisposable
{
    private static readonly EntryType s_queued = new EntryType<IpcMsg>();

    private readonly ImageSource _source;
    private readonly ImageLimits _limits;
    private long _entries;
    private long _payloadLeft;
    private int _messagesLeft;
    private int _padding;

    private ImageReader(ImageSource source, ImageType type, ulong? id, ImageLimits limits)
    {
        _source = source;
        _limits = limits;
        Type = type;
        Id = id;
    }

    /// <summary>What kind of file it is.</summary>
    public ImageType Type { get; }

    /// <summary>The id in the file's name, if it has one.</summary>
    public ulong? Id { get; }

    /// <summary>The file's name.</summary>
    public string FileName => _source.FileName;

    /// <summary>Where the entry that was read last begins, in bytes from the start of the file.</summary>
    public long EntryOffset { get; private set; }

    /// <summary>The message of the next entry.</summary>
    public MessageDescriptor NextMessage => NextEntryType.Descriptor;

    /// <summary>
    /// Bytes that belong to the entry that was read last and have not been read yet, without padding. Messages of a System V queue are
    /// not counted here; see <see cref="TryReadMessage"/>.
    /// </summary>
    public long PayloadLength => _payloadLeft;

    /// <summary>Starts to read a file whose kind is known.</summary>
    /// <param name="file">The file, at its start; the reader owns it from now on, also when this fails.</param>
    /// <param name="fileName">Its name, for errors.</param>
    /// <param name="type">Its kind; no raw one.</param>
    /// <param name="id">The id in its name.</param>
    /// <param name="limits">Bounds; null for the defaults.</param>
    /// <exception cref="ImageException">It does not begin with the magic numbers of its kind.</exception>
    public static ImageReader Open(SafeFileHandle file, string fileName, ImageType type, ulong? id = null, ImageLimits? limits = null)
    {
        var source = new ImageSource(file, fileName);
        try
        {
            uint magic = ReadMagic(source, out long offset);
            return magic == type.Magic
                ? new ImageReader(source, type, id, limits ?? ImageLimits.Default)
                : throw new ImageException(ImageException.BadMagic, fileName, offset,
                    $"the magic number is 0x{magic:x8}, that of a {type.Name} image is 0x{type.Magic:x8}");
        }
        catch
        {
            source.Dispose();
            throw;
        }
    }

    /// <summary>Starts to read a file whose kind only its magic numbers tell.</summary>
    /// <inheritdoc cref="Open"/>
    public static ImageReader OpenUnknown(SafeFileHandle file, string fileName, ImageLimits? limits = null)
    {
        var source = new ImageSource(file, fileName);
        try
        {
            uint magic = ReadMagic(source, out long offset);
            ImageType type = ImageType.FromMagic(magic)
                ?? throw new ImageException(ImageException.BadMagic, fileName, offset, $"no kind of image has the magic number 0x{magic:x8}");
            return new ImageReader(source, type, null, limits ?? ImageLimits.Default);
        }
        catch
        {
            source.Dispose();
            throw;
        }
    }

    /// <summary>Reads the next entry.</summary>
    /// <returns>Null at the end of the file.</returns>
    /// <exception cref="ImageException">The entry is cut, too large or malformed.</exception>
    public IMessage? Read()
    {
        ReadOnlySpan<byte> bytes = NextEntry();
        if (EntryOffset < 0)
        {
            return null;
        }

        return Finish(NextEntryType.Parse(bytes, FileName, EntryOffset));
    }

    /// <summary>Reads the next entry.</summary>
    /// <typeparam name="T">The message of <see cref="NextMessage"/>.</typeparam>
    /// <returns>Null at the end of the file.</returns>
    /// <exception cref="ImageException">The entry is cut, too large or malformed.</exception>
    public T? Read<T>()
        where T : class, IMessage<T>, new()
    {
        IMessage? message = Read();
        return message as T ?? (message is null
            ? null
            : throw new ArgumentException($"entries of {FileName} are {message.GetType().Name}, not {typeof(T).Name}", typeof(T).Name));
    }

    /// <summary>Takes the next entries without looking into them; only from a file to whose entries no bytes belong.</summary>
    /// <returns>As many as there may be, or what is left of the file.</returns>
    /// <exception cref="ImageException">An entry is cut or too large.</exception>
    internal EntryFrames TakeFrames()
    {
        EntryFrames frames = new(NextEntryType, FileName);
        while (!frames.IsFull && NextEntry() is var bytes && EntryOffset >= 0)
        {
            frames.Add(bytes, EntryOffset);
            _entries++;
        }

        return frames;
    }

    /// <summary>Reads bytes that belong to the entry that was read last.</summary>
    /// <returns>How many; 0 when there are none left.</returns>
    /// <exception cref="ImageException">The file ends before them.</exception>
    public int ReadPayload(Span<byte> buffer)
    {
        int length = (int)Math.Min(buffer.Length, _payloadLeft);
        _source.ReadExactly(buffer[..length], "the bytes that belong to an entry");
        _payloadLeft -= length;
        return length;
    }

    /// <summary>Reads all bytes that belong to the entry that was read last.</summary>
    /// <exception cref="ImageException">The file ends before them, or they are more than the limit.</exception>
    public byte[] ReadPayload()
    {
        if (_payloadLeft > Math.Min(_limits.PayloadBytes, Array.MaxLength))
        {
            throw TooLarge($"{_payloadLeft} bytes belong to one entry, the limit is {_limits.PayloadBytes}");
        }

        byte[] bytes = _source.ReadArray((int)_payloadLeft, "the bytes that belong to an entry");
        _payloadLeft = 0;
        return bytes;
    }

    /// <summary>Reads the next message of the System V queue that was read last.</summary>
    /// <param name="text">The message's bytes.</param>
    /// <returns>Null when there are none left.</returns>
    /// <exception cref="ImageException">The message is cut, too large or malformed.</exception>
    public IpcMsg? TryReadMessage(out byte[] text)
    {
        text = [];
        if (_messagesLeft == 0)
        {
            return null;
        }

        SkipPayload();
        _messagesLeft--;
        long offset = _source.Position;
        var message = (IpcMsg)s_queued.Parse(Frame(_source.ReadUInt32("a message")), FileName, offset);
        SetPayload(message.Msize, alignment: sizeof(ulong));
        text = ReadPayload();
        SkipPayload();
        return message;
    }

    /// <inheritdoc/>
    public void Dispose() => _source.Dispose();

    private EntryType NextEntryType => _entries > 0 && Type.FollowingEntry is { } following ? following : Type.Entry!;

    private static uint ReadMagic(ImageSource source, out long offset)
    {
        uint magic = source.ReadUInt32("its magic number");
        if (magic is ImageMagic.Common or ImageMagic.Service)
        {
            offset = source.Position;
            return source.ReadUInt32("its magic number");
        }

        offset = 0;
        return magic;
    }

    // The bytes of the next entry, valid until the next read; EntryOffset is -1 at the end of the file.
    private ReadOnlySpan<byte> NextEntry()
    {
        while (_messagesLeft > 0)
        {
            _ = TryReadMessage(out _);
        }

        SkipPayload();
        EntryOffset = _source.Position;
        if (_source.AtEnd())
        {
            EntryOffset = -1;
            return default;
        }

        if (_entries >= _limits.Entries)
        {
            throw TooLarge($"there are more than {_limits.Entries} entries");
        }

        return Frame(_source.ReadUInt32("the size of an entry"));
    }

    private ReadOnlySpan<byte> Frame(uint size)
    {
        if (size > (uint)_limits.EntryBytes)
        {
            throw TooLarge($"an entry has {size} bytes, the limit is {_limits.EntryBytes}");
        }

        return _source.Read((int)size, "an entry");
    }

    private IMessage Finish(IMessage message)
    {
        _entries++;
        switch (message)
        {
            case PipeDataEntry pipe when Type.Payload == ImagePayload.PipeData:
                SetPayload(pipe.Bytes);
                break;
            case SkPacketEntry packet:
                SetPayload(packet.Length);
                break;
            case TcpStreamEntry stream:
                SetPayload((long)stream.InqLen + stream.OutqLen);
                break;
            case BpfmapDataEntry map:
                SetPayload((long)map.KeysBytes + map.ValuesBytes);
                break;
            case IpcShmEntry { InPagemaps: false } segment:
                SetPayload(Signed(segment.Size), alignment: sizeof(uint));
                break;
            case IpcSemEntry set:
                SetPayload(Count(set.Nsems) * sizeof(ushort), alignment: sizeof(ulong));
                break;
            case IpcMsgEntry queue:
                _messagesLeft = Count(queue.Qnum);
                break;
            case GhostFileEntry ghost:
                FinishGhost(ghost);
                break;
            case GhostChunkEntry chunk:
                SetPayload(Signed(chunk.Len));
                break;
        }

        return message;
    }

    private void FinishGhost(GhostFileEntry ghost)
    {
        const uint TypeMask = 0xf000, Regular = 0x8000; // S_IFMT, S_IFREG
        if (!ghost.Chunks && (ghost.Mode & TypeMask) == Regular)
        {
            SetPayload(_source.Remaining ?? throw new NotSupportedException($"{FileName} is a pipe: its content has no known length"));
        }
    }

    private void SetPayload(long length, int alignment = 1)
    {
        _source.Expect(length, "the bytes that belong to an entry");
        _payloadLeft = length;
        _padding = (int)(-length & (alignment - 1));
    }

    private void SkipPayload()
    {
        _source.Skip(_payloadLeft + _padding, "the bytes that belong to an entry");
        _payloadLeft = 0;
        _padding = 0;
    }

    private int Count(uint items) =>
        items <= (uint)_limits.PayloadItems ? (int)items : throw TooLarge($"{items} items belong to one entry, the limit is {_limits.PayloadItems}");

    private long Signed(ulong length) =>
        length <= long.MaxValue / 2 ? (long)length : throw TooLarge($"{length} bytes belong to one entry, more than a file can have");

    private ImageException TooLarge(string reason) => new(ImageException.EntryTooLarge, FileName, Math.Max(EntryOffset, 0), reason);
}
