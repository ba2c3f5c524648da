using System.Buffers;
using Google.Protobuf;

namespace CriuPS.Engine.Images;

/// <summary>The bytes of some entries of an image file that follow each other: what they say can be found out while the file is read on.</summary>
/// <param name="type">Their message.</param>
/// <param name="fileName">The file, for errors.</param>
internal sealed class EntryFrames(EntryType type, string fileName)
{
    private const int Most = 128, UsualBytes = 128;

    private readonly List<(int End, long Offset)> _entries = [];
    private byte[] _bytes = [];

    /// <summary>Whether there are as many as belong together.</summary>
    public bool IsFull => _entries.Count == Most;

    /// <summary>Adds an entry.</summary>
    /// <param name="entry">Its bytes, which are copied.</param>
    /// <param name="offset">Where in the file they are.</param>
    public void Add(ReadOnlySpan<byte> entry, long offset)
    {
        int start = End(_entries.Count - 1), end = start + entry.Length;
        if (end > _bytes.Length)
        {
            Grow(start, end);
        }

        entry.CopyTo(_bytes.AsSpan(start));
        _entries.Add((end, offset));
    }

    /// <summary>Turns the bytes into messages; that is the end of them.</summary>
    /// <exception cref="ImageException">One of them is malformed.</exception>
    public T[] Parse<T>()
        where T : class, IMessage<T>, new()
    {
        T[] messages = new T[_entries.Count];
        for (int i = 0; i < messages.Length; i++)
        {
            messages[i] = (T)type.Parse(_bytes.AsSpan(End(i - 1)..End(i)), fileName, _entries[i].Offset);
        }

        Replace([]);
        return messages;
    }

    private void Grow(int used, int needed)
    {
        byte[] larger = ArrayPool<byte>.Shared.Rent(Math.Max(needed, UsualBytes * Math.Min(2 * _entries.Count, Most)));
        _bytes.AsSpan(0, used).CopyTo(larger);
        Replace(larger);
    }

    private void Replace(byte[] bytes)
    {
        if (_bytes.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(_bytes);
        }

        _bytes = bytes;
    }

    private int End(int entry) => entry < 0 ? 0 : _entries[entry].End;
}
