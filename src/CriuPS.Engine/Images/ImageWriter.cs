using System.Buffers;
using System.Buffers.Binary;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using Google.Protobuf;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Images;

/// <summary>
/// Writes one image file: magic numbers, then entries and the bytes that belong to them. The file comes into being with the first write, so
/// a kind of object that the tree does not have leaves no file. Not for use by two threads at once.
/// </summary>
public sealed class ImageWriter : IDisposable
{
    private const int BufferBytes = 64 << 10, HandedOver = 256;

    private readonly Func<SafeFileHandle> _create;
    private SafeFileHandle? _file;
    private byte[]? _buffer;
    private int _used;
    private long _written;
    private bool _disposed;
    private List<IRequiredFields>? _later;
    private Task _writing = Task.CompletedTask;

    /// <param name="type">What kind of file; no raw one.</param>
    /// <param name="fileName">Its name, for errors.</param>
    /// <param name="create">Makes the file, called once at the first write; the writer owns what it returns.</param>
    internal ImageWriter(ImageType type, string fileName, Func<SafeFileHandle> create)
    {
        Type = type;
        FileName = fileName;
        _create = create;
    }

    /// <summary>Makes a writer of a file that belongs to no set.</summary>
    /// <param name="path">Where it will be; what is there is not replaced.</param>
    /// <param name="type">What kind of file; no raw one.</param>
    /// <exception cref="ArgumentException">The kind is a raw one.</exception>
    public static ImageWriter Create(string path, ImageType type)
    {
        const int Flags = FileAt.O_WRONLY | FileAt.O_CREAT | FileAt.O_EXCL | FileAt.O_NOFOLLOW;
        if (type.IsRaw)
        {
            throw new ArgumentException($"{type.Name} is a raw image", nameof(type));
        }

        return new ImageWriter(type, path, () => FileAt.TryOpen(null, path, Flags, ImageSet.FileMode, out int errno)
            ?? throw new KernelException($"create {path}", errno) { Subject = path, Remedy = RemedyFor(errno) });
    }

    /// <summary>Writes a file of one entry that belongs to no set; an earlier one is replaced.</summary>
    /// <param name="directory">Where it will be.</param>
    /// <param name="type">What kind of file; no raw one, and one without an id in its name.</param>
    /// <param name="entry">The entry.</param>
    internal static void Replace(string directory, ImageType type, IRequiredFields entry)
    {
        string path = Path.Join(directory, type.FileName());
        File.Delete(path);
        using ImageWriter writer = Create(path, type);
        writer.Write(entry);
    }

    /// <summary>What kind of file it is.</summary>
    public ImageType Type { get; }

    /// <summary>The file's name.</summary>
    public string FileName { get; }

    /// <summary>How many bytes the file has so far, 0 while it does not exist.</summary>
    public long Length
    {
        get
        {
            Settle();
            return _written + _used;
        }
    }

    /// <summary>Whether the set was discarded, and the file with it.</summary>
    internal bool IsAbandoned { get; private set; }

    /// <summary>Writes an entry: its size, then the message.</summary>
    /// <exception cref="ArgumentException">A required field is not set.</exception>
    /// <exception cref="CriuException">The file cannot be made or written.</exception>
    public void Write(IRequiredFields message)
    {
        Settle();
        WriteNow(message);
    }

    /// <summary>
    /// Writes an entry that nobody changes any more, where there are thousands: beside what the caller does next. What fails is told by the next call of another kind,
    /// at last by <see cref="Dispose"/>.
    /// </summary>
    internal void WriteLater(IRequiredFields message)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        _later ??= new List<IRequiredFields>(HandedOver);
        _later.Add(message);
        if (_later.Count == HandedOver)
        {
            List<IRequiredFields> some = _later;
            _later = null;
            _writing = _writing.ContinueWith(
                before =>
                {
                    before.GetAwaiter().GetResult();
                    some.ForEach(WriteNow);
                },
                CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        }
    }

    private void Settle()
    {
        if (!_writing.IsCompletedSuccessfully)
        {
            _writing.GetAwaiter().GetResult();
        }

        if (_later is { } rest)
        {
            _later = null;
            rest.ForEach(WriteNow);
        }
    }

    private void WriteNow(IRequiredFields message)
    {
        if (!message.HasRequiredFields())
        {
            throw new ArgumentException($"an entry of {FileName} lacks a required field: {message.GetType().Name}", nameof(message));
        }

        int size = message.CalculateSize();
        BinaryPrimitives.WriteInt32LittleEndian(Reserve(sizeof(int)), size);
        if (size <= BufferBytes)
        {
            message.WriteTo(Reserve(size));
            return;
        }

        Append(message.ToByteArray());
    }

    /// <summary>Writes bytes that belong to the entry before them, without a frame.</summary>
    /// <exception cref="CriuException">The file cannot be made or written.</exception>
    public void WritePayload(ReadOnlySpan<byte> bytes)
    {
        Settle();
        if (bytes.Length <= BufferBytes)
        {
            bytes.CopyTo(Reserve(bytes.Length));
            return;
        }

        Append(bytes);
    }

    /// <summary>Writes zero bytes until a payload of <paramref name="length"/> bytes fills a multiple of <paramref name="alignment"/>.</summary>
    public void WritePadding(long length, int alignment)
    {
        Settle();
        Reserve((int)(-length & (alignment - 1))).Clear();
    }

    /// <summary>
    /// Writes out everything and gives the file itself, for bytes that are moved inside the kernel (splice, sendfile, copy_file_range). Its
    /// position is the end. The writer still owns it.
    /// </summary>
    /// <exception cref="CriuException">The file cannot be made or written.</exception>
    public SafeFileHandle Handle()
    {
        Settle();
        _ = Reserve(0);
        Flush();
        return _file!;
    }

    /// <summary>Counts bytes that somebody else has put at the end of what <see cref="Handle"/> gave.</summary>
    public void Advance(long bytes) => _written += bytes;

    /// <summary>Writes out everything and closes the file.</summary>
    /// <exception cref="CriuException">The rest cannot be written; the file is closed nevertheless.</exception>
    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        try
        {
            Settle();
            Flush();
        }
        finally
        {
            _disposed = true;
            Release();
        }
    }

    /// <summary>Closes the file without writing what is still in the buffer: for a file that is about to be removed.</summary>
    internal void Abandon()
    {
        Workers.AwaitQuietly(_writing);
        IsAbandoned = true;
        _disposed = true;
        Release();
    }

    private void Release()
    {
        _file?.Dispose();
        if (_buffer is not null)
        {
            ArrayPool<byte>.Shared.Return(_buffer);
            _buffer = null;
        }
    }

    private Span<byte> Reserve(int bytes)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (_file is null)
        {
            Begin();
        }

        if (_used + bytes > BufferBytes)
        {
            Flush();
        }

        _used += bytes;
        return _buffer.AsSpan(_used - bytes, bytes);
    }

    private void Begin()
    {
        _file = _create();
        _buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
        if (Type.Container is ImageContainer.Common or ImageContainer.Service)
        {
            uint head = Type.Container == ImageContainer.Common ? ImageMagic.Common : ImageMagic.Service;
            BinaryPrimitives.WriteUInt32LittleEndian(_buffer, head);
            _used = sizeof(uint);
        }

        BinaryPrimitives.WriteUInt32LittleEndian(_buffer.AsSpan(_used), Type.Magic);
        _used += sizeof(uint);
    }

    private void Append(ReadOnlySpan<byte> bytes)
    {
        _ = Reserve(0);
        Flush();
        WriteOut(bytes);
    }

    private void Flush()
    {
        if (_used > 0)
        {
            int used = _used;
            _used = 0;
            WriteOut(_buffer.AsSpan(0, used));
        }
    }

    private void WriteOut(ReadOnlySpan<byte> bytes)
    {
        int errno = FileAt.TryWriteAll(_file!, bytes);
        if (errno != 0)
        {
            throw new KernelException($"write to {FileName}", errno) { Subject = FileName, Remedy = RemedyFor(errno) };
        }

        _written += bytes.Length;
    }

    internal static string? RemedyFor(int errno) => errno switch
    {
        Errno.ENOSPC or Errno.EDQUOT => "make room in the file system of the images directory, or name another one",
        Errno.EFBIG => "raise the limit of file size (ulimit -f)",
        _ => null,
    };
}
