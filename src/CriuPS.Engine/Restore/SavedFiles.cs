using CriuPS.Engine.Errors;
using CriuPS.Engine.Images;
using CriuPS.Engine.Objects.Files;

namespace CriuPS.Engine.Restore;

/// <summary>The open files of an image set, and what they share while they are opened again.</summary>
internal sealed class SavedFiles : IDisposable
{
    private readonly ImageSet _images;
    private readonly FileChoices _choices;
    private readonly Dictionary<uint, FileEntry> _files = [];
    private readonly HashSet<uint> _validated = [];
    private readonly List<(int Pid, string User, CriuException Reason)> _mismatches = [];
    private volatile SharedParsing<FileEntry>? _parsing;

    public SavedFiles(ImageSet images, FileChoices choices, CancellationToken cancellation)
    {
        (_images, _choices) = (images, choices);
        Opening = new FileOpening(images, id => this[id, "another file"], choices, cancellation);
    }

    /// <summary>Reads the images; until that is done nothing else may be asked.</summary>
    /// <exception cref="CriuException">They cannot be read, or contradict themselves.</exception>
    public void Read()
    {
        Locks = _images.ReadAll<FileLockEntry>(ImageType.FileLocks).ToLookup(l => l.Pid);
        _parsing = _images.Share<FileEntry>(ImageType.Files);
        IReadOnlyList<FileEntry> entries = _parsing.Finish();
        _files.EnsureCapacity(entries.Count);
        _validated.EnsureCapacity(entries.Count);
        foreach (FileEntry entry in entries)
        {
            Add(entry);
            if (entry.Reg is { Ext: false } named)
            {
                named.Name = _choices.Paths.Apply(named.Name);
            }

            if (entry.Usk is not null)
            {
                Opening.Sockets.Add(entry);
            }

            if (entry.Pipe is { } pipe)
            {
                Opening.ExpectEnd(pipe.PipeId);
            }
        }
    }

    /// <summary>Helps another thread to do so.</summary>
    public void HelpToRead() => _parsing?.Join();

    /// <summary>The locks on them, by the process that took them.</summary>
    public ILookup<int, FileLockEntry> Locks { get; private set; } = null!;

    /// <summary>What they share.</summary>
    public FileOpening Opening { get; }

    /// <summary>The file with an id.</summary>
    /// <param name="id">The id.</param>
    /// <param name="user">Who needs it, for the error.</param>
    public FileEntry this[uint id, string user] => _files.GetValueOrDefault(id) ?? throw Lacking(id, user);

    /// <summary>The file of a descriptor.</summary>
    public FileEntry this[FdinfoEntry descriptor] => _files.GetValueOrDefault(descriptor.Id) ?? throw Lacking(descriptor.Id, UserOf(descriptor));

    /// <summary>Notes if the file cannot be had as it was; <see cref="ThrowMismatches"/> fails for all of them.</summary>
    /// <param name="id">The id.</param>
    /// <param name="pid">The process that needs it.</param>
    /// <param name="user">What of the process needs it, for errors.</param>
    public void Validate(uint id, int pid, Func<string> user)
    {
        FileEntry entry = _files.GetValueOrDefault(id) ?? throw Lacking(id, user());
        if (Mismatch(entry, user, static user => user()) is { } reason)
        {
            _mismatches.Add((pid, user(), reason));
        }
    }

    private CriuException? Mismatch<T>(FileEntry entry, T user, Func<T, string> name)
    {
        if (!_validated.Add(entry.Id))
        {
            return null;
        }

        IFileKind kind = FileKinds.Find(entry.Type) ?? throw new CriuException(
            "FileKindNotSupported", CriuErrorKind.NotSupported, $"{name(user)} is a file of kind {entry.Type}, which is not supported yet");
        try
        {
            kind.Validate(entry, Opening);
            return null;
        }
        catch (CriuException e) when (e is not ImageException)
        {
            return e;
        }
    }

    /// <summary>Notes which files that travel in the queues of sockets cannot be had as they were.</summary>
    /// <param name="pid">The root, for errors.</param>
    public void ValidateTravellers(int pid)
    {
        foreach (uint id in Opening.Sockets.IsEmpty ? [] : Opening.Sockets.Travellers)
        {
            Validate(id, pid, () => "the queue of a socket");
        }
    }

    /// <summary>Fails if any file cannot be had as it was; all are named.</summary>
    /// <exception cref="CriuException">One cannot, or several, which is a <see cref="FilesChangedException"/>.</exception>
    public void ThrowMismatches()
    {
        if (_mismatches.Count > 1)
        {
            throw new FilesChangedException([.. _mismatches.Select(m => new FileMismatch(m.Pid, m.User, m.Reason.Subject ?? "", m.Reason.Message, m.Reason.Remedy ?? ""))]);
        }

        foreach ((int pid, string user, CriuException e) in _mismatches)
        {
            throw new CriuException(e.Id, e.Kind, $"{user}: {e.Message}", e) { Pid = pid, Subject = e.Subject, Remedy = e.Remedy, Errno = e.Errno };
        }
    }

    /// <summary>Notes if the file of a descriptor cannot be had as it was, unless another one takes its place.</summary>
    /// <returns>The file.</returns>
    public FileEntry Validate(FdinfoEntry descriptor, int pid)
    {
        FileEntry entry = this[descriptor];
        if (!Opening.Inherited.Replaces(entry) && Mismatch(entry, descriptor, UserOf) is { } reason)
        {
            _mismatches.Add((pid, UserOf(descriptor), reason));
        }

        return entry;
    }

    public void Dispose() => Opening.Dispose();

    // The file of a tun device has two entries: what it is, and how it is opened.
    private void Add(FileEntry entry)
    {
        if (_files.TryAdd(entry.Id, entry))
        {
            return;
        }

        FileEntry first = _files[entry.Id], tun = entry.Tunf is null ? first : entry, named = entry.Tunf is null ? entry : first;
        if (tun is not { Tunf: not null, Reg: null } || named is not { Reg: not null, Tunf: null })
        {
            throw Broken($"it has two files with the id {entry.Id}");
        }

        tun.Reg = named.Reg;
        _files[entry.Id] = tun;
    }

    private static string UserOf(FdinfoEntry descriptor) => $"fd {descriptor.Fd}";

    private ImageException Lacking(uint id, string user) => Broken($"it lacks file {id}, which {user} needs");

    private ImageException Broken(string reason) => new(ImageException.MalformedEntry, Path.Join(_images.Path, "files.img"), 0, reason);
}
