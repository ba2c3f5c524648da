using CriuPS.Engine.Errors;
using CriuPS.Engine.Images;
using CriuPS.Engine.Kernel;
using Google.Protobuf;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Memory;

/// <summary>
/// The restore's half of shared memory: each object is made once, by the first who needs it, here and not in a newborn; mappings and descriptors
/// get open files of it. Anonymous memory is made by mmap(2) and reached through /proc/self/map_files, so that it keeps the kernel's name.
/// Seals come last, when everything is mapped: those against writing would forbid it.
/// </summary>
/// <param name="set">The image set.</param>
/// <param name="cancellation">Ends the copying of pages.</param>
internal sealed class SharedMemoryOpening(ImageSet set, CancellationToken cancellation) : IDisposable
{
    private readonly Dictionary<ulong, SharedObject> _areas = [];
    private Dictionary<ulong, SharedObject>? _objects;

    /// <summary>The huge pages that will be taken.</summary>
    public HugePagePool Huge { get; } = new();

    /// <summary>How many pages have been read.</summary>
    public long Pages { get; private set; }

    /// <summary>Fails unless the images have the object and its pages.</summary>
    /// <exception cref="CriuException">They do not, or it is of a kind that is not supported.</exception>
    public void Validate(uint id)
    {
        MemfdInodeEntry entry = Find(id).Entry;
        using PageMapChain? chain = SharedPages.Open(set, entry.Shmid, (long)entry.Size);
        if (HugePages.SizeIn(entry.HugetlbFlag) is not 0 and long size)
        {
            foreach (PageExtent extent in chain?.Extents ?? [])
            {
                Huge.Need(size, id, (long)extent.Address, (long)extent.End);
            }
        }
    }

    /// <summary>Announces a mapping of an object of huge pages: the kernel reserves them for it.</summary>
    public void ValidateHuge(uint id, VmaEntry mapping)
    {
        long size = HugePages.SizeIn(Find(id).Entry.HugetlbFlag), length = (long)(mapping.End - mapping.Start);
        if (size != 0 && (mapping.Flags & Kernel.Memory.MAP_SHARED) == 0)
        {
            Huge.Need(size, length);
        }
        else if (size != 0)
        {
            Huge.Need(size, id, (long)mapping.Pgoff, (long)mapping.Pgoff + length);
        }
    }

    /// <summary>
    /// Announces a mapping of anonymous memory that is no object of its own in the images, as CRIU writes without privileges. How large the object
    /// was is not told: it gets room for all mappings and all pages.
    /// </summary>
    /// <exception cref="CriuException">The pages are not there, or are huge.</exception>
    public void ValidateArea(VmaEntry entry)
    {
        if ((entry.Flags & Kernel.Memory.MAP_HUGETLB) != 0 || entry.Shmid > uint.MaxValue)
        {
            throw NotMemoryFile($"mapping {entry.Start:x}-{entry.End:x}");
        }

        if (!_areas.TryGetValue(entry.Shmid, out SharedObject? area))
        {
            using PageMapChain? chain = SharedPages.Open(set, (uint)entry.Shmid, size: 1);
            area = _areas[entry.Shmid] = new SharedObject(new MemfdInodeEntry
            {
                Name = ByteString.CopyFrom(SharedMemory.AnonymousName), Shmid = (uint)entry.Shmid, Seals = MemFd.F_SEAL_SEAL,
                Size = chain!.Extents.Select(e => e.End).DefaultIfEmpty().Max(),
            });
        }

        area.Entry.Size = Math.Max(area.Entry.Size, entry.Pgoff + (entry.End - entry.Start));
    }

    /// <summary>Opens an object as a descriptor of a process had it.</summary>
    public SafeFileHandle Open(MemfdFileEntry file)
    {
        SharedObject found = Find(file.InodeId);
        SafeFileHandle own = Make(found);
        int flags = (int)file.Flags & ~Fcntl.O_CLOEXEC;
        SafeFileHandle handle;
        if ((flags & (Fcntl.O_ACCMODE | Fcntl.O_PATH)) == Fcntl.O_RDWR && !found.IsGiven)
        {
            // Only the very open file that memfd_create made can be executed: others are open for writing in the kernel's eyes (ETXTBSY).
            found.IsGiven = true;
            Fcntl.Control(own, Fcntl.F_SETFL, flags);
            handle = Fcntl.Duplicate(own);
        }
        else
        {
            handle = Reopen(own, flags);
        }

        if ((flags & Fcntl.O_PATH) == 0)
        {
            Fcntl.Seek(handle, (long)file.Pos);
        }

        return handle;
    }

    /// <summary>Opens an object for a mapping.</summary>
    /// <param name="id">The object.</param>
    /// <param name="flags">Access mode.</param>
    public SafeFileHandle OpenForMapping(uint id, int flags) => Access(Make(Find(id)), flags);

    /// <summary>Opens anonymous memory that <see cref="ValidateArea"/> was told of.</summary>
    public SafeFileHandle OpenArea(VmaEntry entry) => Access(Make(_areas[entry.Shmid]), Fcntl.O_RDWR);

    /// <summary>The last step, when all processes have their mappings.</summary>
    public void Seal()
    {
        foreach (SharedObject made in Made())
        {
            int missing = (int)made.Entry.Seals & ~Fcntl.Control(made.File!, MemFd.F_GET_SEALS);
            if (missing != 0)
            {
                Fcntl.Control(made.File!, MemFd.F_ADD_SEALS, missing);
            }
        }
    }

    public void Dispose()
    {
        foreach (SharedObject made in Made())
        {
            made.File!.Dispose();
        }
    }

    private IEnumerable<SharedObject> Made()
    {
        IEnumerable<SharedObject> objects = _objects is null ? [] : _objects.Values;
        return objects.Concat(_areas.Values).Where(o => o.File is not null);
    }

    private static SafeFileHandle Access(SafeFileHandle own, int flags) =>
        (flags & Fcntl.O_ACCMODE) == Fcntl.O_RDWR ? Fcntl.Duplicate(own) : Reopen(own, flags);

    private static SafeFileHandle Reopen(SafeFileHandle own, int flags) => OpenAt.Open($"/proc/self/fd/{own.DangerousGetHandle()}", flags);

    private static CriuException NotMemoryFile(string what) =>
        new("HugePagesNotSupported", CriuErrorKind.NotSupported, $"{what} is of huge pages, and no memory file") { Subject = what };

    private SharedObject Find(uint id) => (_objects ??= Read()).TryGetValue(id, out SharedObject? found)
        ? found
        : throw new ImageException(ImageException.MalformedEntry, set.FullName(ImageType.MemFdInode.FileName()), 0, $"it lacks memory file {id}");

    private Dictionary<ulong, SharedObject> Read()
    {
        Dictionary<ulong, SharedObject> objects = [];
        foreach (MemfdInodeEntry entry in set.ReadAll<MemfdInodeEntry>(ImageType.MemFdInode))
        {
            if (!objects.TryAdd(entry.InodeId, new SharedObject(entry)) || entry.Size > long.MaxValue)
            {
                throw new ImageException(ImageException.MalformedEntry, set.FullName(ImageType.MemFdInode.FileName()), 0,
                    $"memory file {entry.InodeId} is there twice, or too large");
            }
        }

        return objects;
    }

    private SafeFileHandle Make(SharedObject wanted)
    {
        if (wanted.File is null)
        {
            MemfdInodeEntry entry = wanted.Entry;
            wanted.File = IsAnonymous(entry) ? MakeAnonymous((long)entry.Size, HugePages.SizeIn(entry.HugetlbFlag))
                : MemFd.Create(entry.Name.Span, MemFd.MFD_ALLOW_SEALING | (int)entry.HugetlbFlag);
            InodeAttributes.SetLength(wanted.File, (long)entry.Size);
            Pages += entry.Size == 0 ? 0 : SharedPages.Restore(set, entry.Shmid, wanted.File, (long)entry.Size, cancellation);
            if (entry.HasUid)
            {
                InodeAttributes.SetOwner(wanted.File, entry.Uid, entry.Gid);
            }

            if (entry.HasMode)
            {
                InodeAttributes.SetMode(wanted.File, entry.Mode);
            }
        }

        return wanted.File;
    }

    private static bool IsAnonymous(MemfdInodeEntry entry) =>
        SharedMemory.IsAnonymous(entry.Name.Span) && entry.Size > 0 && entry.Seals == MemFd.F_SEAL_SEAL;

    private static SafeFileHandle MakeAnonymous(long size, long hugeSize)
    {
        ulong length = ((ulong)size + Kernel.Memory.PageSize - 1) & ~(ulong)(Kernel.Memory.PageSize - 1);
        ulong address = Kernel.Memory.MapSharedAnonymous(length, hugeSize == 0 ? 0 : Kernel.Memory.MAP_HUGETLB | (int)HugePages.FlagOf(hugeSize));
        try
        {
            return OpenAt.Open($"/proc/self/map_files/{address:x}-{address + length:x}", Fcntl.O_RDWR);
        }
        finally
        {
            Kernel.Memory.Unmap(address, length);
        }
    }

    private sealed class SharedObject(MemfdInodeEntry entry)
    {
        public MemfdInodeEntry Entry { get; } = entry;

        /// <summary>The file that was made for it; null as long as nobody needed it.</summary>
        public SafeFileHandle? File { get; set; }

        /// <summary>Whether the very file that was made has become a descriptor of a process.</summary>
        public bool IsGiven { get; set; }
    }
}
