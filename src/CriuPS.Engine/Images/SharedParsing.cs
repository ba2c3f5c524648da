using CriuPS.Engine.Errors;
using Google.Protobuf;

namespace CriuPS.Engine.Images;

/// <summary>
/// The entries of an image file, part by part turned into messages by all threads that have time for it: to wait for one of a pool's that is not running yet takes
/// longer than to do it oneself.
/// </summary>
internal sealed class SharedParsing<T>
    where T : class, IMessage<T>, new()
{
    private readonly List<Task<T[]>> _parts = [];
    private int _taken;

    /// <summary>Takes what a file holds; no bytes may belong to its entries.</summary>
    /// <param name="reader">The file; null for none.</param>
    /// <exception cref="ImageException">An entry is cut or too large.</exception>
    public SharedParsing(ImageReader? reader)
    {
        EntryFrames? frames = null;
        while (reader is not null && frames is not { IsFull: false })
        {
            frames = reader.TakeFrames();
            _parts.Add(new Task<T[]>(frames.Parse<T>));
        }
    }

    /// <summary>Takes part until every part is taken.</summary>
    public void Join()
    {
        for (int part = Interlocked.Increment(ref _taken); part <= _parts.Count; part = Interlocked.Increment(ref _taken))
        {
            _parts[part - 1].RunSynchronously(TaskScheduler.Default);
        }
    }

    /// <summary>Takes part, and waits for the others.</summary>
    /// <returns>All messages, in the order of the file.</returns>
    /// <exception cref="CriuException">An entry is malformed.</exception>
    public IReadOnlyList<T> Finish()
    {
        Join();
        return [.. _parts.SelectMany(part => part.GetAwaiter().GetResult())];
    }
}
