using CriuPS.Engine.Errors;
using CriuPS.Engine.Images;
using CriuPS.Engine.Kernel;
using Google.Protobuf;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// The restore's half of files that have lost their name: a ghost is made again, a file that got another name is looked up by that. Each gets its
/// old path for a moment, is opened with O_PATH and loses the path again; after that it is opened through /proc/self/fd, so that /proc shows the
/// old path with <c> (deleted)</c>. Where somebody else has the path by now, a suffix is added.
/// </summary>
/// <param name="set">The image set.</param>
/// <param name="paths">Where files are now.</param>
/// <param name="cancellation">Ends the copying of content.</param>
internal sealed class RemapOpening(ImageSet set, PathMap paths, CancellationToken cancellation) : IDisposable
{
    private const int NotAgain = Fcntl.O_NOFOLLOW | Fcntl.O_CLOEXEC;

    private readonly List<byte[]> _links = [];

    // Two threads may look at files at once.
    private readonly Lazy<(Dictionary<uint, LostFile> ByEntry, Dictionary<uint, int> Ended)> _lost = new(() => Read(set, paths));

    /// <summary>What a file entry's content is found by: another entry for a name that was given, itself for every other.</summary>
    /// <returns>Null where there is no name, because the content is in the images.</returns>
    /// <exception cref="CriuException">It is not in the images.</exception>
    public RegFileEntry? Validate(RegFileEntry saved)
    {
        if (Find(saved) is not { } lost)
        {
            return saved;
        }

        lost.Users.Add(saved);
        if (lost.Link is { } link)
        {
            return new RegFileEntry(saved) { Name = link.Name };
        }

        GhostFileEntry ghost = GhostFile.Read(set, lost.Id);
        return saved.HasMode && ((saved.Mode ^ ghost.Mode) & FileStatus.S_IFMT) != 0
            ? throw new ImageException(
                ImageException.MalformedEntry, set.FullName(ImageType.GhostFile.FileName(lost.Id)), 0, "it is of another kind than its file")
            : null;
    }

    /// <summary>The ghost that had a device and a number; null where none had.</summary>
    public RegFileEntry? FindGhost(uint device, ulong inode) => Ghosts(device, inode).FirstOrDefault(g => g.Users.Count > 0)?.Users[0];

    /// <summary>Whether there is a ghost with a device and a number, also where no file that it belongs to was looked at yet.</summary>
    public bool HasGhost(uint device, ulong inode) => Ghosts(device, inode).Any();

    private IEnumerable<LostFile> Ghosts(uint device, ulong inode)
    {
        foreach (LostFile lost in _lost.Value.ByEntry.Values.Where(l => l.Link is null))
        {
            lost.Entry ??= GhostFile.Read(set, lost.Id);
            if (lost.Entry.Dev == device && lost.Entry.Ino == inode)
            {
                yield return lost;
            }
        }
    }

    /// <summary>Opens a file that has lost its name, with O_PATH.</summary>
    public SafeFileHandle Open(RegFileEntry saved)
    {
        LostFile lost = Find(saved)!;
        if (lost.Files.Count == 0)
        {
            Make(lost);
        }

        return Fcntl.Duplicate(lost.Files[saved.Name]);
    }

    /// <summary>The process that a file of /proc is about, where that had ended; 0 for all others.</summary>
    public int EndedProcess(uint id) => _lost.Value.Ended.GetValueOrDefault(id);

    /// <summary>Whether a file has lost its name.</summary>
    public bool Has(RegFileEntry saved) => Find(saved) is not null;

    /// <summary>Opens a file that has lost its name; null for every other.</summary>
    public SafeFileHandle? TryOpen(RegFileEntry saved, int flags)
    {
        if (Find(saved) is not { } lost)
        {
            return null;
        }

        if (lost.Files.Count == 0)
        {
            Make(lost);
        }

        if (flags == (int)saved.Flags && lost.Ready.Remove(saved.Id, out SafeFileHandle? ready))
        {
            return ready;
        }

        SafeFileHandle own = lost.Files[saved.Name];
        return IsKind(own, FileStatus.S_IFLNK)
            ? Fcntl.Duplicate(own)
            : Reopen(own, flags & ~(IsNameless(flags) ? NotAgain | Fcntl.O_TMPFILE : NotAgain));
    }

    /// <summary>Removes the names that files got at the dump; after that the image set cannot be restored again.</summary>
    /// <returns>A failure for each that could not be removed.</returns>
    public IReadOnlyList<KernelException> RemoveLinks() => TemporaryNames.RemoveEach(_links);

    public void Dispose()
    {
        foreach (LostFile lost in _lost.IsValueCreated ? (IEnumerable<LostFile>)_lost.Value.ByEntry.Values : [])
        {
            foreach (SafeFileHandle handle in lost.Files.Values.Concat(lost.Ready.Values))
            {
                handle.Dispose();
            }
        }
    }

    private LostFile? Find(RegFileEntry saved) => _lost.Value.ByEntry.GetValueOrDefault(saved.Id);

    private static (Dictionary<uint, LostFile> ByEntry, Dictionary<uint, int> Ended) Read(ImageSet set, PathMap paths)
    {
        Dictionary<uint, LostFile> found = [];
        Dictionary<uint, int> ended = [];
        Dictionary<(bool IsLink, uint Id), LostFile> known = [];
        foreach (RemapFilePathEntry remap in set.ReadAll<RemapFilePathEntry>(ImageType.RemapFilePath))
        {
            // Old images tell a ghost by the highest bit.
            const uint OldGhost = 1u << 31;
            bool old = !remap.HasRemapType, isLink = old ? (remap.RemapId & OldGhost) == 0 : remap.RemapType == RemapType.Linked;
            if (!old && remap.RemapType == RemapType.Procfs)
            {
                ended[remap.OrigId] = (int)remap.RemapId;
                continue;
            }

            uint id = old ? remap.RemapId & ~OldGhost : remap.RemapId;
            if (!known.TryGetValue((isLink, id), out LostFile? lost))
            {
                lost = known[(isLink, id)] = new LostFile(id, isLink ? ReadLink(set, paths, id) : null);
            }

            found[remap.OrigId] = lost;
        }

        return (found, ended);
    }

    private static RegFileEntry ReadLink(ImageSet set, PathMap paths, uint id)
    {
        RegFileEntry link = set.ReadAll<FileEntry>(ImageType.Files).FirstOrDefault(f => f.Id == id)?.Reg ?? throw new ImageException(
            ImageException.MalformedEntry, set.FullName(ImageType.Files.FileName()), 0, $"it lacks file {id}, which stands for a lost name");
        link.Name = paths.Apply(link.Name);
        return link;
    }

    private void Make(LostFile lost)
    {
        using TemporaryNames names = new();
        using SafeFileHandle file = lost.Link is { } link ? OpenLink(link) : MakeGhost(lost, names);
        foreach (ByteString name in lost.Users.Select(u => u.Name).Distinct().Where(n => !lost.Files.ContainsKey(n)))
        {
            byte[] path = names.Make(name.ToByteArray(), ".cr_link", p => FileNames.TryLink(file, p), isDirectory: false);
            Open(lost, name, path, file);
        }

        names.Remove();
    }

    private SafeFileHandle MakeGhost(LostFile lost, TemporaryNames names)
    {
        GhostFileEntry entry = GhostFile.Read(set, lost.Id);
        RegFileEntry first = lost.Users[0];
        if (MakeNameless(lost, entry) is { } nameless)
        {
            lost.Files[first.Name] = Reopen(nameless, Fcntl.O_PATH);
            return nameless;
        }

        SafeFileHandle? file = null;
        bool isDirectory = (entry.Mode & FileStatus.S_IFMT) == FileStatus.S_IFDIR;
        byte[] path = names.Make(first.Name.ToByteArray(), $".cr.{lost.Id:x}.ghost", p => GhostFile.TryMake(entry, p, out file), isDirectory);
        GhostFile.Fill(set, lost.Id, file!, cancellation);
        Open(lost, first.Name, path, file!);
        return file!;
    }

    // A file that never had a name (O_TMPFILE) can be made just so; what it was opened by is the only descriptor with that flag.
    private SafeFileHandle? MakeNameless(LostFile lost, GhostFileEntry entry)
    {
        RegFileEntry? opened = lost.Users.Find(u => IsNameless((int)u.Flags));
        if (opened is null || (entry.Mode & FileStatus.S_IFMT) != FileStatus.S_IFREG)
        {
            return null;
        }

        ReadOnlySpan<byte> name = opened.Name.Span;
        int end = Math.Max(name.LastIndexOf((byte)'/'), 1);
        SafeFileHandle? made = FileNames.TryCreateNameless(name[..end], (int)opened.Flags & ~Fcntl.O_CLOEXEC, out _);
        if (made is null)
        {
            // The directory is gone, or is on a file system of another kind now: then it gets a name for a moment, like others.
            return null;
        }

        lost.Ready[opened.Id] = made;
        SafeFileHandle file = Reopen(made, Fcntl.O_RDWR);
        GhostFile.Fill(set, lost.Id, file, cancellation);
        return file;
    }

    // Descriptors that were opened without following links have that flag for ever, and only opening by a name gives it.
    private static void Open(LostFile lost, ByteString name, byte[] path, SafeFileHandle expected)
    {
        lost.Files[name] = OpenPath(path, Fcntl.O_PATH | Fcntl.O_NOFOLLOW, expected);
        bool isPlain = IsKind(expected, FileStatus.S_IFREG) || IsKind(expected, FileStatus.S_IFDIR);
        foreach (RegFileEntry user in lost.Users.Where(u => isPlain && u.Name == name && ((int)u.Flags & Fcntl.O_NOFOLLOW) != 0))
        {
            lost.Ready[user.Id] = OpenPath(path, (int)user.Flags & ~Fcntl.O_CLOEXEC, expected);
        }
    }

    private SafeFileHandle OpenLink(RegFileEntry link)
    {
        byte[] path = link.Name.ToByteArray();
        SafeFileHandle handle = OpenPath(path, Fcntl.O_PATH | Fcntl.O_NOFOLLOW, null);
        _links.Add(path);
        return handle;
    }

    private static SafeFileHandle OpenPath(byte[] path, int flags, SafeFileHandle? expected)
    {
        string shown = new Proc.OsText(path).ToDisplayString();
        SafeFileHandle handle = OpenAt.TryOpen(null, CString.From(path), flags, out int errno) ?? throw new KernelException($"open({shown})", errno);
        return expected is null || FileAt.Identity(handle) == FileAt.Identity(expected)
            ? handle : throw new CriuException("FileChanged", CriuErrorKind.Busy, $"{shown} was replaced by another file just now") { Subject = shown };
    }

    private static SafeFileHandle Reopen(SafeFileHandle own, int flags) => OpenAt.Open($"/proc/self/fd/{own.DangerousGetHandle()}", flags);

    // O_TMPFILE includes O_DIRECTORY.
    private static bool IsNameless(int flags) => (flags & Fcntl.O_TMPFILE) == Fcntl.O_TMPFILE;

    private static bool IsKind(SafeFileHandle file, uint kind) => (FileStatus.Of(file).st_mode & FileStatus.S_IFMT) == kind;

    /// <summary>A file without a name, or with one that is not its own.</summary>
    private sealed class LostFile(uint id, RegFileEntry? link)
    {
        /// <summary>The number of the ghost, or of the entry of the other name.</summary>
        public uint Id { get; } = id;

        /// <summary>The other name; null for a ghost.</summary>
        public RegFileEntry? Link { get; } = link;

        /// <summary>What the ghost is, once it has been read.</summary>
        public GhostFileEntry? Entry { get; set; }

        /// <summary>The entries that need it.</summary>
        public List<RegFileEntry> Users { get; } = [];

        /// <summary>The file as it is known under each of its paths, open with O_PATH.</summary>
        public Dictionary<ByteString, SafeFileHandle> Files { get; } = [];

        /// <summary>Descriptors that are open already, because they could be opened only while the file was made.</summary>
        public Dictionary<uint, SafeFileHandle> Ready { get; } = [];
    }
}
