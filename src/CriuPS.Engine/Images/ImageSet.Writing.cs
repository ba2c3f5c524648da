using CriuPS.Engine.Errors;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Images;

/// <summary>
/// Making a set. The inventory comes last, after everything else has been synced, so a directory with an inventory is complete. Files have
/// their final names from the start, but for those of a set that replaces another: they stand beside it under names of their own until all
/// are on disk, and only then take the places of the old ones. <see cref="Discard"/> takes back exactly what was made, and an old set stays
/// as it was. Several threads may make files at once.
/// </summary>
public sealed partial class ImageSet
{
    /// <summary>The link to the set of the previous round.</summary>
    public const string ParentName = "parent";

    // The memory of a process holds secrets: only the owner may read what is made.
    internal const int FileMode = 0x180; // 0600

    private const int DirectoryMode = 0x1c0; // 0700
    private const int SyncThreads = 8, MostSyncedSingly = 100;
    private const string NewSuffix = ".new";

    private readonly Lock _lock = new();
    private readonly HashSet<string> _created = []; // names as they are in the directory now
    private readonly List<ImageWriter> _writers = [];
    private readonly List<(string What, Func<int> Undo)> _undo = [];
    private readonly bool _writable;
    private string? _madeDirectory;
    private uint _lastPagesId;
    private bool _complete;
    private bool _beside;

    /// <summary>Makes a set in a directory, which is made too if it does not exist.</summary>
    /// <param name="path">The directory.</param>
    /// <param name="replace">
    /// Whether a checkpoint that is already there may be replaced. It stays until the new one is complete, then all its image files go.
    /// </param>
    /// <param name="limits">Bounds of what is read; null for the defaults.</param>
    /// <exception cref="CriuException">There is a checkpoint, or the directory cannot be made or opened.</exception>
    public static ImageSet Create(string path, bool replace = false, ImageLimits? limits = null)
    {
        string full = System.IO.Path.GetFullPath(path);
        int errno = FileAt.TryMakeDirectory(full, DirectoryMode);
        if (errno is not 0 and not Errno.EEXIST)
        {
            throw new KernelException($"mkdir {full}", errno)
            {
                Subject = full,
                Remedy = errno == Errno.ENOENT ? "make the directory above it first" : null,
            };
        }

        var set = new ImageSet(OpenDirectory(null, full, full), full, limits, writable: true) { _madeDirectory = errno == 0 ? full : null };
        return Prepared(set, replace);
    }

    /// <summary>Makes a set in a directory that is already open.</summary>
    /// <param name="directory">The directory; it stays the caller's.</param>
    /// <param name="replace">Whether a checkpoint that is already there may be replaced.</param>
    /// <param name="limits">Bounds of what is read; null for the defaults.</param>
    /// <exception cref="CriuException">There is a checkpoint, or the descriptor is no directory.</exception>
    public static ImageSet Create(SafeFileHandle directory, bool replace = false, ImageLimits? limits = null) =>
        Prepared(new ImageSet(OpenDirectory(directory, ".", ShownPath(directory)), ShownPath(directory), limits, writable: true), replace);

    /// <summary>Gives a number for a new pages file, starting with 1.</summary>
    public uint NextPagesId() => Interlocked.Increment(ref _lastPagesId);

    /// <summary>Announces something outside of the set that exists for it alone, and goes with it when it is discarded.</summary>
    /// <param name="call">How it is removed, for errors.</param>
    /// <param name="undo">Removes it; gives 0 or an errno.</param>
    internal void AlsoDiscard(string call, Func<int> undo)
    {
        lock (_lock)
        {
            EnsureOpen();
            _undo.Add((call, undo));
        }
    }

    /// <summary>Removes what was announced by <see cref="AlsoDiscard"/>; what cannot be removed is left to <see cref="Discard"/>, which tells so.</summary>
    internal void TakeBack()
    {
        lock (_lock)
        {
            _undo.RemoveAll(u => u.Undo() is 0 or Errno.ENOENT);
        }
    }

    /// <summary>Makes a writer of a file; the file itself comes with the first write. The set closes it when it is completed.</summary>
    /// <param name="type">The kind of file; neither raw nor the inventory.</param>
    /// <param name="id">The id in its name.</param>
    public ImageWriter CreateWriter(ImageType type, ulong? id = null)
    {
        if (type.IsRaw || type == ImageType.Inventory)
        {
            throw new ArgumentException($"{type.Name} has no writer: use CreateRaw or Complete", nameof(type));
        }

        string name = type.FileName(id);
        var writer = new ImageWriter(type, FullName(name), () => CreateFile(name));
        lock (_lock)
        {
            EnsureOpen();
            _writers.Add(writer);
        }

        return writer;
    }

    /// <summary>Writes a file of one entry.</summary>
    /// <exception cref="CriuException">The file cannot be made or written.</exception>
    public void WriteSingle(ImageType type, ulong? id, IRequiredFields message)
    {
        using ImageWriter writer = CreateWriter(type, id);
        writer.Write(message);
    }

    /// <summary>Makes an empty file without magic, for reading and writing.</summary>
    /// <param name="type">The kind of file, a raw one.</param>
    /// <param name="id">The id in its name.</param>
    /// <returns>The file; it is the caller's.</returns>
    /// <exception cref="CriuException">The file cannot be made.</exception>
    public SafeFileHandle CreateRaw(ImageType type, ulong? id = null)
    {
        if (!type.IsRaw)
        {
            throw new ArgumentException($"{type.Name} is no raw image", nameof(type));
        }

        return CreateFile(type.FileName(id));
    }

    /// <summary>
    /// Makes the set a checkpoint: closes all writers, waits until every file is on disk, and only then writes the inventory.
    /// </summary>
    /// <param name="inventory">Facts about the checkpoint; its version is set here.</param>
    /// <param name="durable">Whether to wait for the disk; without it the set survives the end of the program but not that of the machine.</param>
    /// <param name="cancellation">Ends the wait for the disk; after that it is too late.</param>
    /// <exception cref="CriuException">A file cannot be written; the set is no checkpoint and can be discarded.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled; the set is no checkpoint and can be discarded.</exception>
    public void Complete(InventoryEntry inventory, bool durable = true, CancellationToken cancellation = default)
    {
        lock (_lock)
        {
            EnsureOpen();
            _writers.ForEach(writer => writer.Dispose());
            _writers.Clear();
        }

        if (durable)
        {
            SyncAll(cancellation);
        }

        cancellation.ThrowIfCancellationRequested();

        inventory.ImgVersion = ImageMagic.Version;
        string name = ImageType.Inventory.FileName() + NewSuffix;
        using (var writer = new ImageWriter(ImageType.Inventory, FullName(name), () => MakeFile(name)))
        {
            writer.Write(inventory);
        }

        Publish(durable);
        _complete = true;
    }

    /// <summary>How many bytes all files have that were made here.</summary>
    internal long MadeBytes()
    {
        lock (_lock)
        {
            return _created.Sum(name => FileStatus.TryOf(_directory, CString.From(name), out FileStatus.stat status, out _) ? status.st_size : 0);
        }
    }

    /// <summary>Removes every file that was made here, what was announced to go with them, and the directory if it was made here and is empty.</summary>
    /// <exception cref="CriuException">Something could not be removed; everything else was.</exception>
    public void Discard()
    {
        KernelException? failure = null;
        lock (_lock)
        {
            _writers.ForEach(writer => writer.Abandon());
            _writers.Clear();
            foreach (string name in _created)
            {
                failure = Failure($"unlink {FullName(name)}", FileAt.TryUnlink(_directory, name), Errno.ENOENT) ?? failure;
            }

            foreach ((string call, Func<int> undo) in _undo)
            {
                failure = Failure(call, undo(), Errno.ENOENT) ?? failure;
            }

            _created.Clear();
            _undo.Clear();
            _complete = false;
        }

        if (_madeDirectory is not null)
        {
            // What others have put there is not ours to remove.
            failure = Failure($"rmdir {_madeDirectory}", FileAt.TryRemoveDirectory(_madeDirectory), Errno.ENOTEMPTY) ?? failure;
            _madeDirectory = null;
        }

        if (failure is not null)
        {
            throw failure;
        }
    }

    /// <summary>Closes the directory. A set that was neither completed nor discarded is discarded.</summary>
    public void Dispose()
    {
        if (_directory.IsClosed)
        {
            return;
        }

        try
        {
            if (_writable && !_complete)
            {
                Discard();
            }
        }
        finally
        {
            _directory.Dispose();
        }
    }

    private static ImageSet Prepared(ImageSet set, bool replace)
    {
        try
        {
            if (set.HasInventory && !replace)
            {
                throw new CriuException("ImageSetExists", CriuErrorKind.AlreadyExists, $"{set.Path} already holds a checkpoint")
                {
                    Subject = set.Path,
                    Remedy = "name another directory, or use -Force to replace the checkpoint",
                };
            }

            set._beside = set.HasInventory;
            set.RemoveLeftovers();
            return set;
        }
        catch
        {
            set.Dispose();
            throw;
        }
    }

    // What a killed dump has left would be taken for part of the new set, or stand in its way.
    private void RemoveLeftovers()
    {
        if (!_beside)
        {
            RemoveSet([]);
        }

        foreach (string name in ListNames().Where(IsNew).ToList())
        {
            Remove(name);
        }
    }

    // The inventory goes first: what is left is no checkpoint at any moment.
    private void RemoveSet(HashSet<string> except)
    {
        foreach (ImageFile file in ListFiles().Where(file => file.Type.Container != ImageContainer.Service && !except.Contains(file.Name)))
        {
            Remove(file.Name);
        }
    }

    private void Remove(string name)
    {
        if (Failure($"unlink {FullName(name)}", FileAt.TryUnlink(_directory, name), Errno.ENOENT) is { } failure)
        {
            throw failure;
        }
    }

    private static bool IsNew(string name) =>
        name.EndsWith(NewSuffix, StringComparison.Ordinal) && ImageType.FromFileName(name[..^NewSuffix.Length], out _) is not null;

    // What a file that is being made is called in the directory.
    private string NameNow(string name) => _beside ? name + NewSuffix : name;

    private SafeFileHandle CreateFile(string name) => MakeFile(NameNow(name));

    // O_EXCL and O_NOFOLLOW: in a directory that others may write to, nobody gets us to write through a link of theirs.
    private SafeFileHandle MakeFile(string name)
    {
        const int Flags = FileAt.O_RDWR | FileAt.O_CREAT | FileAt.O_EXCL | FileAt.O_NOFOLLOW;
        EnsureOpen();
        SafeFileHandle file = FileAt.TryOpen(_directory, name, Flags, FileMode, out int errno)
            ?? throw Failure($"create {FullName(name)}", errno)!;
        lock (_lock)
        {
            _created.Add(name);
        }

        return file;
    }

    private void EnsureOpen()
    {
        ObjectDisposedException.ThrowIf(_directory.IsClosed, this);
        if (!_writable || _complete)
        {
            throw new InvalidOperationException($"{Path} is open for reading only");
        }
    }

    // One journal commit of the file system can serve many fsyncs that wait at the same time.
    private void SyncAll(CancellationToken cancellation)
    {
        // Each fsync is a round trip to the disk: those of many small files take longer than all that others have written meanwhile.
        if (_created.Count > MostSyncedSingly)
        {
            cancellation.ThrowIfCancellationRequested();
            if (Failure($"syncfs {Path}", FileAt.TrySyncFileSystem(_directory)) is { } unsynced)
            {
                throw unsynced;
            }

            return;
        }

        var options = new ParallelOptions { MaxDegreeOfParallelism = SyncThreads, CancellationToken = cancellation };
        KernelException? failure = null;
        Parallel.ForEach(_created, options, name => failure = SyncOne(name) ?? failure);
        if ((failure ?? Failure($"fsync {Path}", FileAt.TrySync(_directory))) is { } reason)
        {
            throw reason;
        }
    }

    private KernelException? SyncOne(string name)
    {
        using SafeFileHandle? file = FileAt.TryOpen(_directory, name, FileAt.O_RDONLY | FileAt.O_NOFOLLOW, 0, out int errno);
        return Failure($"fsync {FullName(name)}", file is null ? errno : FileAt.TrySync(file));
    }

    // Everything is on disk when this begins; what it does is to give names, the inventory's last.
    private void Publish(bool durable)
    {
        string inventory = ImageType.Inventory.FileName();
        KernelException? failure = durable ? SyncOne(inventory + NewSuffix) : null;
        if (failure is null && _beside)
        {
            failure = TakePlaces(inventory, durable);
        }

        failure ??= Rename(inventory);
        if (failure is null && durable)
        {
            failure = Failure($"fsync {Path}", FileAt.TrySync(_directory)) ?? SyncAbove();
        }

        if (failure is not null)
        {
            throw failure;
        }
    }

    // From the removal of the old inventory to the arrival of the new one the directory holds no checkpoint, but all of the new one's bytes.
    private KernelException? TakePlaces(string inventory, bool durable)
    {
        List<string> names = [.. _created.Select(name => name[..^NewSuffix.Length]).Where(name => name != inventory)];
        _beside = false;
        Remove(inventory);
        KernelException? failure = durable ? Failure($"fsync {Path}", FileAt.TrySync(_directory)) : null;
        RemoveSet([.. names]);
        foreach (string name in names)
        {
            failure ??= Rename(name);
        }

        return failure;
    }

    private KernelException? Rename(string name)
    {
        KernelException? failure = Failure($"rename {FullName(name + NewSuffix)}", FileAt.TryRename(_directory, name + NewSuffix, name));
        lock (_lock)
        {
            if (failure is null)
            {
                _created.Remove(name + NewSuffix);
                _created.Add(name);
            }
        }

        return failure;
    }

    // The name of a new directory is on disk when the one above it is.
    private KernelException? SyncAbove()
    {
        if (_madeDirectory is null)
        {
            return null;
        }

        using SafeFileHandle above = OpenDirectory(_directory, "..", _madeDirectory);
        return Failure($"fsync {System.IO.Path.GetDirectoryName(_madeDirectory)}", FileAt.TrySync(above));
    }

    private KernelException? Failure(string call, int errno, int harmless = 0) =>
        errno == 0 || errno == harmless ? null : new KernelException(call, errno) { Subject = Path, Remedy = ImageWriter.RemedyFor(errno) };
}
