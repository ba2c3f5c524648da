using CriuPS.Engine.Images;
using CriuPS.Engine.Objects.Memory;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Files;

/// <summary>The images that open files are written to, and what has been written to them.</summary>
/// <param name="set">The image set.</param>
/// <param name="cancellation">Ends the copying of content.</param>
internal sealed class FileImages(ImageSet set, CancellationToken cancellation = default)
{
    private readonly HashSet<ulong> _pipes = [];
    private readonly ImageWriter _files = set.CreateWriter(ImageType.Files);
    private readonly ImageWriter _pipesData = set.CreateWriter(ImageType.PipesData);
    private uint _lastId;

    /// <summary>Memory that is a file without a name.</summary>
    public SharedMemoryImages SharedMemory { get; } = new(set, cancellation);

    /// <summary>An id that no other file has.</summary>
    public uint NextId() => ++_lastId;

    public void Write(FileEntry entry) => _files.Write(entry);

    /// <summary>Whether a pipe's content is not yet written.</summary>
    public bool IsNewPipe(ulong inode) => _pipes.Add(inode);

    public void WritePipeData(PipeDataEntry entry, ReadOnlySpan<byte> content)
    {
        _pipesData.Write(entry);
        _pipesData.WritePayload(content);
    }
}

/// <summary>What the files of a restore share: pipes with more than one open end, memory without a name.</summary>
/// <param name="set">The image set.</param>
/// <param name="cancellation">Ends the copying of content.</param>
internal sealed class FileOpening(ImageSet set, CancellationToken cancellation = default) : IDisposable
{
    private readonly Dictionary<uint, (SafeFileHandle Read, SafeFileHandle Write)> _pipes = [];

    private readonly HashSet<(uint Pipe, int Mode)> _taken = [];

    private ILookup<uint, (PipeDataEntry Entry, byte[] Content)>? _pipeData;

    /// <summary>Memory that is a file without a name.</summary>
    public SharedMemoryOpening SharedMemory { get; } = new(set, cancellation);

    /// <summary>What a pipe held; the image of all pipes is read once.</summary>
    public IEnumerable<(PipeDataEntry Entry, byte[] Content)> PipeData(uint id) => (_pipeData ??= ReadPipeData())[id];

    /// <summary>Whether an end of a pipe, by access mode, is not yet given away; it is from now on.</summary>
    public bool TakeEnd(uint pipe, int mode) => _taken.Add((pipe, mode));

    /// <summary>The pipe with this id, made by the first who asks.</summary>
    public (SafeFileHandle Read, SafeFileHandle Write) Pipe(uint id, Func<(SafeFileHandle Read, SafeFileHandle Write)> make)
    {
        if (!_pipes.TryGetValue(id, out (SafeFileHandle Read, SafeFileHandle Write) pipe))
        {
            pipe = _pipes[id] = make();
        }

        return pipe;
    }

    private ILookup<uint, (PipeDataEntry Entry, byte[] Content)> ReadPipeData()
    {
        List<(PipeDataEntry Entry, byte[] Content)> data = [];
        using ImageReader? reader = set.OpenReader(ImageType.PipesData);
        while (reader?.Read<PipeDataEntry>() is { } entry)
        {
            data.Add((entry, reader.ReadPayload()));
        }

        return data.ToLookup(d => d.Entry.PipeId);
    }

    public void Dispose()
    {
        foreach ((SafeFileHandle read, SafeFileHandle write) in _pipes.Values)
        {
            read.Dispose();
            write.Dispose();
        }

        SharedMemory.Dispose();
    }
}
