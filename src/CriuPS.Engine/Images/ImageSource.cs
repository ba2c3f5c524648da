using System.Buffers;
using System.Buffers.Binary;
using CriuPS.Engine.Errors;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Images;

/// <summary>
/// The bytes of an image file from start to end, through one buffer. It knows the length of an ordinary file, so a size that points beyond
/// the end costs nothing; of a pipe it takes memory only as bytes arrive.
/// </summary>
internal sealed class ImageSource : IDisposable
{
    private const int FirstBufferBytes = 16 << 10;

    private readonly SafeFileHandle _file;
    private readonly long? _length;
    private byte[] _buffer = ArrayPool<byte>.Shared.Rent(FirstBufferBytes);
    private int _start;
    private int _end;
    private long _fileOffset;

    /// <param name="file">The file, at its start; owned from now on.</param>
    /// <param name="fileName">Its name, for errors.</param>
    public ImageSource(SafeFileHandle file, string fileName)
    {
        _file = file;
        FileName = fileName;
        _length = LengthOf(file);
    }

    /// <summary>The file's name.</summary>
    public string FileName { get; }

    /// <summary>How many bytes have been taken.</summary>
    public long Position => _fileOffset - (_end - _start);

    /// <summary>How many bytes are left; null in a pipe.</summary>
    public long? Remaining => _length is { } length ? Math.Max(0, length - Position) : null;

    /// <summary>Whether there is nothing left.</summary>
    public bool AtEnd() => _start == _end && !Fill(1);

    /// <summary>Checks that so many bytes follow, as far as that can be known.</summary>
    /// <exception cref="ImageException">The file ends before.</exception>
    public void Expect(long bytes, string what)
    {
        if (bytes > Remaining)
        {
            throw Truncated(bytes, what);
        }
    }

    /// <summary>Takes bytes; they are valid until the next call.</summary>
    /// <exception cref="ImageException">The file ends before.</exception>
    public ReadOnlySpan<byte> Read(int bytes, string what)
    {
        Expect(bytes, what);
        if (!Fill(bytes))
        {
            throw Truncated(bytes, what);
        }

        _start += bytes;
        return _buffer.AsSpan(_start - bytes, bytes);
    }

    /// <summary>Takes a little-endian number.</summary>
    /// <inheritdoc cref="Read(int, string)"/>
    public uint ReadUInt32(string what) => BinaryPrimitives.ReadUInt32LittleEndian(Read(sizeof(uint), what));

    /// <summary>Takes bytes into an array of their own.</summary>
    /// <inheritdoc cref="Read(int, string)"/>
    public byte[] ReadArray(int bytes, string what)
    {
        if (_length is null)
        {
            return Read(bytes, what).ToArray();
        }

        Expect(bytes, what);
        byte[] array = new byte[bytes];
        ReadExactly(array, what);
        return array;
    }

    /// <summary>Fills a buffer.</summary>
    /// <inheritdoc cref="Read(int, string)"/>
    public void ReadExactly(Span<byte> buffer, string what)
    {
        int buffered = Math.Min(buffer.Length, _end - _start);
        _buffer.AsSpan(_start, buffered).CopyTo(buffer);
        _start += buffered;
        for (Span<byte> rest = buffer[buffered..]; !rest.IsEmpty;)
        {
            int count = ReadFile(rest);
            if (count == 0)
            {
                throw Truncated(rest.Length, what);
            }

            rest = rest[count..];
        }
    }

    /// <summary>Passes over bytes.</summary>
    /// <inheritdoc cref="Read(int, string)"/>
    public void Skip(long bytes, string what)
    {
        Expect(bytes, what);
        int buffered = (int)Math.Min(bytes, _end - _start);
        _start += buffered;
        bytes -= buffered;
        if (_length is not null)
        {
            _fileOffset += bytes;
            return;
        }

        for (; bytes > 0; bytes -= Math.Min(bytes, _buffer.Length))
        {
            _ = Read((int)Math.Min(bytes, _buffer.Length), what);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _file.Dispose();
        ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = [];
    }

    // Makes sure that so many bytes are in the buffer; false when the file ends before. The buffer at most doubles with what has come.
    private bool Fill(int bytes)
    {
        while (_end - _start < bytes)
        {
            if (_start > 0)
            {
                _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
                _end -= _start;
                _start = 0;
            }

            if (_end == _buffer.Length)
            {
                Grow();
            }

            int count = ReadFile(_buffer.AsSpan(_end));
            if (count == 0)
            {
                return false;
            }

            _end += count;
        }

        return true;
    }

    private void Grow()
    {
        byte[] larger = ArrayPool<byte>.Shared.Rent((int)Math.Min((long)_buffer.Length * 2, Array.MaxLength));
        _buffer.CopyTo(larger, 0);
        ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = larger;
    }

    private int ReadFile(Span<byte> buffer)
    {
        try
        {
            int count = RandomAccess.Read(_file, buffer, _fileOffset);
            _fileOffset += count;
            return count;
        }
        catch (IOException e)
        {
            throw new CriuException("ImageUnreadable", CriuErrorKind.KernelFailure, $"image {FileName} cannot be read: {e.Message}", e)
            {
                Subject = FileName,
            };
        }
    }

    private ImageException Truncated(long bytes, string what) =>
        new(ImageException.TruncatedImage, FileName, Position, $"the file ends inside of {what} ({bytes} bytes were to follow)");

    private static long? LengthOf(SafeFileHandle file)
    {
        try
        {
            return RandomAccess.GetLength(file);
        }
        catch (NotSupportedException)
        {
            // Not a file that can be measured: a pipe or a socket.
            return null;
        }
    }
}
