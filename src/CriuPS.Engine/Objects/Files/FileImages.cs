using System.Runtime.InteropServices;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Images;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects.Ids;
using CriuPS.Engine.Objects.Memory;
using CriuPS.Engine.Options;
using CriuPS.Engine.Proc;
using Google.Protobuf;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Files;

/// <summary>The images that open files are written to, and what has been written to them.</summary>
/// <param name="set">The image set.</param>
/// <param name="tree">The descriptors of all processes.</param>
/// <param name="shared">Which of them are one open file.</param>
/// <param name="options">What the dump is asked to do.</param>
/// <param name="cancellation">Ends the copying of content.</param>
internal sealed class FileImages(ImageSet set, TreeFiles tree, SharedOpenFiles shared, DumpOptions options, CancellationToken cancellation)
{
    private readonly Dictionary<OpenFile, uint> _open = new(tree.All.Count, ReferenceEqualityComparer.Instance);
    private readonly Dictionary<(ulong Device, ulong Inode, OsText Name, int Flags), uint> _named = [];
    private readonly Dictionary<(ulong Device, ulong Inode, OsText Name), uint[]> _buildIds = [];
    private readonly HashSet<ulong> _pipes = [];
    private readonly HashSet<uint> _bpfMaps = [];
    private readonly ImageWriter _bpfMapData = set.CreateWriter(ImageType.BpfMapData);
    private readonly ImageWriter _locks = set.CreateWriter(ImageType.FileLocks);
    private readonly ImageWriter _files = set.CreateWriter(ImageType.Files);
    private readonly ImageWriter _pipesData = set.CreateWriter(ImageType.PipesData), _namedPipesData = set.CreateWriter(ImageType.FifoData);
    private readonly ImageWriter _ownFiles = set.CreateWriter(ImageType.CriupsFiles);
    private readonly ImageWriter _packets = set.CreateWriter(ImageType.CriupsPipes);
    private uint _lastId;

    /// <summary>Files that have lost their name.</summary>
    public RemapImages Remaps { get; } = new(set, options, cancellation);

    /// <summary>Copies of files with names.</summary>
    public ContentImages Contents { get; } = new(set, options, cancellation);

    /// <summary>Memory that is a file without a name.</summary>
    public SharedMemoryImages SharedMemory { get; } = new(set, cancellation);

    /// <summary>The descriptors of all processes.</summary>
    public TreeFiles Tree => tree;

    /// <summary>Whether descriptors of files that cannot be saved are left out; else /dev/null takes their places.</summary>
    public bool ClosesReplaced => options.UnsupportedFiles == UnsupportedFiles.Close;

    /// <summary>Events that nobody has read.</summary>
    public UnreadEvents Events { get; } = new(set);

    /// <summary>Terminals.</summary>
    public TerminalImages Terminals { get; } = new(set, tree);

    /// <summary>Network devices that files are attached to.</summary>
    public TunImages TunDevices { get; } = new(set);

    /// <summary>What belongs to unix sockets.</summary>
    public Sockets.SocketImages Sockets { get; } = new(set);

    /// <summary>An id that no other file has.</summary>
    public uint NextId() => ++_lastId;

    /// <summary>The id of an open file of a tree that stands still; one that several descriptors of any process share has one id.</summary>
    /// <param name="file">A descriptor of it.</param>
    /// <param name="isNew">Whether it has not been written yet.</param>
    public uint IdOf(OpenFile file, out bool isNew)
    {
        OpenFile first = shared.FirstOf(file);
        isNew = !_open.TryGetValue(first, out uint id);
        return isNew ? _open[first] = NextId() : id;
    }

    /// <summary>Saves an open file unless that has been done; the result is its id.</summary>
    /// <param name="file">A descriptor of it.</param>
    /// <param name="kind">Its kind; null only where something else takes its place.</param>
    /// <param name="process">Who has that descriptor.</param>
    /// <param name="isNew">Whether it was saved now.</param>
    public uint Save(OpenFile file, IFileKind? kind, SafeFileHandle process, out bool isNew)
    {
        uint id = IdOf(file, out isNew);
        if (isNew && tree.IsReplaced(file))
        {
            Write(RegularFile.Nothing(file, id));
        }
        else if (isNew)
        {
            using HeldFile held = new(process, file.Fd);
            Write(kind!.Save(file, held, id, this));
        }

        return id;
    }

    /// <summary>The id of a file by its name, as a mapping, an executable or a directory needs it; written once for each name and way of opening.</summary>
    public uint SaveNamed(OpenFile file)
    {
        var key = (file.Status.st_dev, file.Status.st_ino, file.Link, file.FileFlags);
        if (!_named.TryGetValue(key, out uint id))
        {
            id = _named[key] = NextId();
            Write(Memory.SharedMemory.Is(file) ? MemoryFile.Entry(file, id, this) : RegularFile.Save(file, id, this));
        }

        return id;
    }

    /// <summary>Writes an entry, which is not changed any more.</summary>
    public void Write(FileEntry entry) => _files.WriteLater(entry);

    /// <summary>The build id of a file, which is looked for once, however often the file is open.</summary>
    public uint[] BuildIdOf(OpenFile file, Func<OpenFile, uint[]> find)
    {
        if (options.FileValidation == FileValidation.FileSize || file.Status.st_size < BuildId.SmallestFile)
        {
            return [];
        }

        var key = (file.Status.st_dev, file.Status.st_ino, file.Link);
        return _buildIds.TryGetValue(key, out uint[]? known) ? known : _buildIds[key] = find(file);
    }

    /// <summary>Whether a pipe's content is not yet written.</summary>
    public bool IsNewPipe(ulong inode) => _pipes.Add(inode);

    /// <summary>Saves the locks of a descriptor table.</summary>
    /// <param name="table">The table.</param>
    /// <param name="isFirst">Whether a descriptor is the first of its open file.</param>
    public void WriteLocks(IReadOnlyList<OpenFile> table, Func<OpenFile, bool> isFirst) => FileLocks.Save(table, isFirst, _locks);

    /// <summary>Whether the elements of a map of bpf(2) are not yet written.</summary>
    public bool IsNewBpfMap(uint map) => _bpfMaps.Add(map);

    /// <summary>Saves the elements of a map of bpf(2): all keys, then all values.</summary>
    public void WriteBpfMap(BpfmapDataEntry entry, ReadOnlySpan<byte> content)
    {
        _bpfMapData.Write(entry);
        _bpfMapData.WritePayload(content);
    }

    public void WriteOwn(CriupsFileEntry entry) => _ownFiles.Write(entry);

    public void WritePackets(CriupsPipeEntry entry) => _packets.Write(entry);

    /// <summary>Saves what is in a pipe.</summary>
    /// <param name="entry">The pipe.</param>
    /// <param name="content">Its content.</param>
    /// <param name="named">Whether it is a named one, which has an image of its own.</param>
    public void WritePipeData(PipeDataEntry entry, ReadOnlySpan<byte> content, bool named)
    {
        ImageWriter writer = named ? _namedPipesData : _pipesData;
        writer.Write(entry);
        writer.WritePayload(content);
    }
}

/// <summary>What the files of a restore share: pipes with more than one open end, files and memory without a name.</summary>
/// <param name="set">The image set.</param>
/// <param name="file">The entry of a file.</param>
/// <param name="choices">What has been chosen for the files.</param>
/// <param name="cancellation">Ends the copying of content.</param>
internal sealed class FileOpening(ImageSet set, Func<uint, FileEntry> file, FileChoices choices, CancellationToken cancellation = default) : IDisposable
{
    private readonly Dictionary<uint, (SafeFileHandle Read, SafeFileHandle Write)> _pipes = [];

    private readonly HashSet<(uint Pipe, int Mode)> _taken = [];

    private readonly SortedSet<uint> _cutPipes = [];

    private readonly Dictionary<uint, int> _ends = [];

    private readonly HashSet<RegFileEntry> _compared = new(SameClaim.Comparer);

    private readonly Dictionary<uint, int> _dying = [];

    private readonly HashSet<int> _momentary = [];

    // Files of several kinds are looked at by two threads at once.
    private readonly Lazy<ILookup<uint, (PipeDataEntry Entry, byte[] Content)>>
        _pipeData = new(() => ReadPipeData(set, ImageType.PipesData)), _namedPipeData = new(() => ReadPipeData(set, ImageType.FifoData));

    private readonly Lazy<ILookup<uint, CriupsPipeEntry>> _packets = new(() => set.ReadAll<CriupsPipeEntry>(ImageType.CriupsPipes).ToLookup(entry => entry.PipeId));

    private readonly Lazy<ILookup<uint, CriupsNotifyEntry>> _notify = new(() => set.ReadAll<CriupsNotifyEntry>(ImageType.CriupsNotify).ToLookup(n => n.Id));

    private Dictionary<uint, CriupsFileEntry>? _ownFiles;

    private readonly Dictionary<uint, SafeFileHandle> _bpfMaps = [];

    private Dictionary<uint, (BpfmapDataEntry Entry, byte[] Content)>? _bpfMapData;

    /// <summary>Files that have lost their name.</summary>
    public RemapOpening Remaps { get; } = new(set, choices.Paths, cancellation);

    /// <summary>The numbers of all processes and threads of the tree.</summary>
    public IReadOnlySet<int> Numbers { get; set; } = new HashSet<int>();

    /// <summary>What has been chosen for the files.</summary>
    public FileChoices Choices => choices;

    /// <summary>Files that take the places of saved ones.</summary>
    public InheritedFiles Inherited => choices.Inherited;

    /// <summary>Copies of files that are in the set.</summary>
    public ContentOpening Contents { get; } = new(set, choices.Paths, cancellation);

    /// <summary>Whether pipes may come back without the ends that were outside of the tree.</summary>
    public bool PipesMayEndOutside => choices.PipesMayEndOutside;

    /// <summary>The pipes that do.</summary>
    public IReadOnlyCollection<uint> CutPipes => _cutPipes;

    /// <summary>Memory that is a file without a name.</summary>
    public SharedMemoryOpening SharedMemory { get; } = new(set, cancellation);

    /// <summary>Terminals.</summary>
    public TerminalOpening Terminals { get; } = new(set);

    /// <summary>Unix sockets.</summary>
    public Sockets.UnixOpening Sockets => field ??= new(set, this);

    /// <summary>Network devices that files are attached to.</summary>
    public TunOpening TunDevices { get; } = new(set);

    /// <summary>The entry of another file.</summary>
    public FileEntry File(uint id) => file(id);

    /// <summary>What a pipe held; the image of all pipes is read once.</summary>
    public IEnumerable<(PipeDataEntry Entry, byte[] Content)> PipeData(uint id) => _pipeData.Value[id];

    /// <summary>What a named pipe held.</summary>
    public IEnumerable<(PipeDataEntry Entry, byte[] Content)> NamedPipeData(uint id) => _namedPipeData.Value[id];

    /// <summary>A process that will have ended when the restore is done; each number stands for another one.</summary>
    public int DeadProcess(uint number)
    {
        if (!_dying.TryGetValue(number, out int pid))
        {
            pid = _dying[number] = Compel.Newborn.Create();
        }

        return pid;
    }

    /// <summary>Makes a process with a number, which will have ended when the restore is done.</summary>
    /// <exception cref="CriuException">Somebody has the number.</exception>
    public void MakeMomentaryProcess(int pid)
    {
        if (_momentary.Contains(pid))
        {
            return;
        }

        try
        {
            Compel.Newborn.Create(0, pid);
        }
        catch (KernelException e) when (e.Errno == Errno.EEXIST)
        {
            throw new CriuException("PidInUse", CriuErrorKind.AlreadyExists, $"pid {pid} is in use, and files of /proc need a process with that number for a moment", e)
            {
                Pid = pid, Errno = e.Errno, Remedy = "end that process, or restore in another pid namespace",
            };
        }

        _momentary.Add(pid);
    }

    /// <summary>The lengths of the packets that a pipe held; null for a stream of bytes.</summary>
    public IReadOnlyList<uint>? Packets(uint id) => PipeExtras(id).FirstOrDefault(extra => extra.Packets.Count > 0)?.Packets;

    /// <summary>Whether the other end of a pipe belonged to a process that is not in the images.</summary>
    public bool EndsOutside(uint id) => PipeExtras(id).Any(extra => extra.EndsOutside);

    /// <summary>Whether a pipe may come back without its other end; it will, then.</summary>
    public bool MayBeCut(uint id)
    {
        if (PipesMayEndOutside)
        {
            _cutPipes.Add(id);
        }

        return PipesMayEndOutside;
    }

    private IEnumerable<CriupsPipeEntry> PipeExtras(uint id) => _packets.Value[id];

    /// <summary>What a file that watches has beyond its entry; null for nothing.</summary>
    public CriupsNotifyEntry? Notify(uint id) => _notify.Value[id].FirstOrDefault();

    /// <summary>All files of kinds that CRIU does not know.</summary>
    public IReadOnlyCollection<CriupsFileEntry> OwnFiles => (_ownFiles ??= set.ReadAll<CriupsFileEntry>(ImageType.CriupsFiles).ToDictionary(f => f.Id)).Values;

    /// <summary>What a file of a kind that CRIU does not know is; null for another one.</summary>
    public CriupsFileEntry? Own(uint id) => OwnFiles.Count == 0 ? null : _ownFiles!.GetValueOrDefault(id);

    /// <summary>The elements of a map of bpf(2); null where none are saved.</summary>
    public (BpfmapDataEntry Entry, byte[] Content)? BpfMapData(uint id) =>
        (_bpfMapData ??= ReadContents<BpfmapDataEntry>(set, ImageType.BpfMapData).GroupBy(d => d.Entry.MapId).ToDictionary(same => same.Key, same => same.Last()))
        .TryGetValue(id, out (BpfmapDataEntry Entry, byte[] Content) data) ? data : null;

    /// <summary>A map of bpf(2), made by the first who asks.</summary>
    public SafeFileHandle BpfMap(uint id, Func<SafeFileHandle> make)
    {
        if (!_bpfMaps.TryGetValue(id, out SafeFileHandle? map))
        {
            map = _bpfMaps[id] = make();
        }

        return map;
    }

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

    /// <summary>Counts an open end of a pipe that will be opened.</summary>
    public void ExpectEnd(uint pipe) => CollectionsMarshal.GetValueRefOrAddDefault(_ends, pipe, out _)++;

    /// <summary>How many open files are ends of a pipe.</summary>
    public int EndsOf(uint pipe) => _ends.GetValueOrDefault(pipe);

    /// <summary>Whether the tree has other clocks than this process.</summary>
    public bool HasOtherClocks { get; set; }

    /// <summary>An end has been opened: a pipe whose ends all are is nothing to keep, and there may be more than we can hold.</summary>
    public void EndIsOpen(uint pipe)
    {
        int left = _ends[pipe] = _ends.GetValueOrDefault(pipe) - 1;
        if (left == 0 && _pipes.Remove(pipe, out (SafeFileHandle Read, SafeFileHandle Write) done))
        {
            done.Read.Dispose();
            done.Write.Dispose();
        }
    }

    /// <summary>Whether a file has not yet been compared with what an entry says of it.</summary>
    public bool IsNewClaim(RegFileEntry saved) => _compared.Add(saved);

    // What an entry says of the file that has the name, position and owner left aside.
    private sealed class SameClaim : IEqualityComparer<RegFileEntry>
    {
        public static SameClaim Comparer { get; } = new();

        public bool Equals(RegFileEntry? one, RegFileEntry? other) =>
            one!.Flags == other!.Flags && one.HasMode == other.HasMode && one.Mode == other.Mode && one.HasSize == other.HasSize && one.Size == other.Size
            && one.Name.Equals(other.Name) && one.BuildId.Equals(other.BuildId);

        public int GetHashCode(RegFileEntry entry) => entry.Name.GetHashCode() ^ (int)entry.Flags;
    }

    private static ILookup<uint, (PipeDataEntry Entry, byte[] Content)> ReadPipeData(ImageSet set, ImageType type) => ReadContents<PipeDataEntry>(set, type).ToLookup(d => d.Entry.PipeId);

    private static IEnumerable<(T Entry, byte[] Content)> ReadContents<T>(ImageSet set, ImageType type) where T : class, IMessage<T>, new()
    {
        using ImageReader? reader = set.OpenReader(type);
        while (reader?.Read<T>() is { } entry)
        {
            yield return (entry, reader.ReadPayload());
        }
    }

    public void Dispose()
    {
        foreach (SafeFileHandle map in _bpfMaps.Values)
        {
            map.Dispose();
        }

        foreach ((SafeFileHandle read, SafeFileHandle write) in _pipes.Values)
        {
            read.Dispose();
            write.Dispose();
        }

        Sockets.Dispose();
        Remaps.Dispose();
        foreach (int pid in _dying.Values.Concat(_momentary))
        {
            Kernel.Signals.Kill(pid, Kernel.Signals.SIGKILL);
            Wait.ForChild(pid);
        }

        _dying.Clear();
        _momentary.Clear();
        Terminals.Dispose();
        SharedMemory.Dispose();
    }
}
