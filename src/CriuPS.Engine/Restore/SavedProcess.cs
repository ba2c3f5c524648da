using CriuPS.Engine.Errors;
using CriuPS.Engine.Images;
using CriuPS.Engine.Objects.Files;
using CriuPS.Engine.Objects.Memory;

namespace CriuPS.Engine.Restore;

/// <summary>
/// One process of an image set, read and validated before anything is started: every reference resolves, every byte range lies in its file, every file that it
/// needs is there as it was.
/// </summary>
internal sealed class SavedProcess : IDisposable
{
    private readonly ImageSet _images;
    private readonly HashSet<uint> _validated = [];

    private SavedProcess(ImageSet images, PstreeEntry tree, CancellationToken cancellation)
    {
        _images = images;
        Tree = tree;
        Opening = new FileOpening(images, cancellation);
    }

    /// <summary>The image set it comes from.</summary>
    public ImageSet Images => _images;

    /// <summary>What its files share.</summary>
    public FileOpening Opening { get; }

    public PstreeEntry Tree { get; }

    public int Pid => (int)Tree.Pid;

    public required MmEntry Mm { get; init; }

    public required FsEntry Fs { get; init; }

    /// <summary>The images of its tasks by tid, the leader first.</summary>
    public required IReadOnlyList<(int Tid, CoreEntry Core)> Cores { get; init; }

    public required IReadOnlyList<FdinfoEntry> Descriptors { get; init; }

    public required IReadOnlyDictionary<uint, FileEntry> Files { get; init; }

    public required PageMapChain? Pages { get; init; }

    public CoreEntry LeaderCore => Cores[0].Core;

    /// <summary>Reads and validates a set of one process.</summary>
    /// <exception cref="CriuException">Something is missing, contradicts itself, or is not supported.</exception>
    public static SavedProcess Load(ImageSet images, CancellationToken cancellation)
    {
        images.ReadInventory();
        List<PstreeEntry> tree = [.. images.ReadAll<PstreeEntry>(ImageType.PsTree)];
        if (tree.Count != 1)
        {
            throw tree.Count == 0
                ? Broken(images, "pstree.img", "it names no process")
                : new CriuException("TreeNotSupported", CriuErrorKind.NotSupported, $"the image set holds {tree.Count} processes; trees are not supported yet")
                {
                    Subject = images.Path,
                };
        }

        ulong pid = tree[0].Pid;
        TaskKobjIdsEntry ids = images.ReadSingle<TaskKobjIdsEntry>(ImageType.Ids, pid);
        SavedProcess process = new(images, tree[0], cancellation)
        {
            Mm = images.ReadSingle<MmEntry>(ImageType.Mm, pid),
            Fs = images.ReadSingle<FsEntry>(ImageType.Fs, pid),
            Cores = [.. LeaderFirst(tree[0]).Select(tid => ((int)tid, images.ReadSingle<CoreEntry>(ImageType.Core, tid)))],
            Descriptors = [.. images.ReadAll<FdinfoEntry>(ImageType.FdInfo, ids.FilesId).OrderBy(d => d.Fd)],
            Files = ReadFiles(images),
            Pages = PageMapChain.Open(images, ImageType.PageMap, pid),
        };
        try
        {
            process.Validate();
            return process;
        }
        catch
        {
            process.Dispose();
            throw;
        }
    }

    /// <summary>The file with an id.</summary>
    public FileEntry File(uint id, string user) =>
        Files.TryGetValue(id, out FileEntry? entry) ? entry : throw Broken(_images, "files.img", $"it lacks file {id}, which {user} needs");

    /// <summary>Reads saved memory that lies in one piece in the images; false where it is not saved.</summary>
    public bool ReadMemory(ulong address, byte[] buffer)
    {
        foreach (PageExtent extent in Pages?.Extents ?? [])
        {
            if (extent.Address <= address && address + (ulong)buffer.Length <= extent.End)
            {
                using Microsoft.Win32.SafeHandles.SafeFileHandle? file = Pages!.OpenPages(extent.Level);
                return file is not null
                    && RandomAccess.Read(file, buffer, extent.Offset + (long)(address - extent.Address)) == buffer.Length;
            }
        }

        return false;
    }

    public void Dispose()
    {
        Pages?.Dispose();
        Opening.Dispose();
    }

    private static IEnumerable<uint> LeaderFirst(PstreeEntry tree) => tree.Threads.OrderBy(tid => tid != tree.Pid);

    private static Dictionary<uint, FileEntry> ReadFiles(ImageSet images)
    {
        Dictionary<uint, FileEntry> files = [];
        foreach (FileEntry entry in images.ReadAll<FileEntry>(ImageType.Files))
        {
            if (!files.TryAdd(entry.Id, entry))
            {
                throw Broken(images, "files.img", $"it has two files with the id {entry.Id}");
            }
        }

        return files;
    }

    private void Validate()
    {
        ValidateCores();
        ValidateMappings();
        foreach (FdinfoEntry descriptor in Descriptors)
        {
            ValidateFile(File(descriptor.Id, $"fd {descriptor.Fd}"), $"fd {descriptor.Fd}");
        }

        ValidateFile(File(Mm.ExeFileId, "the executable"), "the executable");
        ValidateFile(File(Fs.CwdId, "the working directory"), "the working directory");
        ValidateFile(File(Fs.RootId, "the root directory"), "the root directory");
    }

    private void ValidateCores()
    {
        if (Cores.Count == 0 || Cores[0].Tid != Pid || LeaderCore.Tc is null || LeaderCore.Tc.Sigactions.Count < 62)
        {
            throw Broken(_images, $"core-{Pid}.img", "it is not the image of a process's leader");
        }

        foreach ((int tid, CoreEntry core) in Cores)
        {
            if (core.Mtype != CoreEntryMarch.X8664 || core.ThreadInfo?.Gpregs is null || core.ThreadInfo.Fpregs is null || core.ThreadCore is null)
            {
                throw Broken(_images, $"core-{tid}.img", "it lacks the registers of an x86-64 task");
            }

            if (core.ThreadInfo.Gpregs.Mode != UserX86RegsMode.Native)
            {
                throw new CriuException("CompatNotSupported", CriuErrorKind.NotSupported, $"task {tid} is a 32-bit program, which is not supported yet");
            }
        }

        if (LeaderCore.Tc.TaskState is not (1 or 3))
        {
            throw new CriuException("TaskStateNotSupported", CriuErrorKind.NotSupported, $"process {Pid} was dumped in state {LeaderCore.Tc.TaskState}");
        }

        Unsupported(Cores.Any(c => c.Core.ThreadCore.SeccompMode != SeccompMode.Disabled), "seccomp filters");
    }

    private void Unsupported(bool found, string what)
    {
        if (found)
        {
            throw new CriuException("ObjectNotSupported", CriuErrorKind.NotSupported, $"process {Pid} was dumped with {what}, which are not supported yet");
        }
    }

    private void ValidateMappings()
    {
        const VmaStatus Supported = VmaStatus.Regular | VmaStatus.Stack | VmaStatus.Vsyscall | VmaStatus.Vdso | VmaStatus.Heap | VmaStatus.FilePrivate
            | VmaStatus.FileShared | VmaStatus.AnonymousShared | VmaStatus.AnonymousPrivate | VmaStatus.MemFd | VmaStatus.Vvar;
        ulong last = 0;
        foreach (VmaEntry entry in Mm.Vmas.Where(e => !GuardRegions.IsGuard(e)))
        {
            VmaStatus status = (VmaStatus)entry.Status;
            if (entry.Start < last || entry.End <= entry.Start || entry.Start % Kernel.Memory.PageSize != 0)
            {
                throw Broken(_images, $"mm-{Pid}.img", $"mapping {entry.Start:x}-{entry.End:x} is out of order");
            }

            Unsupported((status & ~Supported) != 0, $"mapping {entry.Start:x}-{entry.End:x} of kind {status & ~Supported}: such mappings");
            last = entry.End;
            if ((status & (VmaStatus.FilePrivate | VmaStatus.FileShared)) != 0)
            {
                string user = $"mapping {entry.Start:x}-{entry.End:x}";
                ValidateFile(File((uint)entry.Shmid, user), user);
            }
            else if ((status & VmaStatus.AnonymousShared) != 0)
            {
                Opening.SharedMemory.ValidateArea(entry);
            }
        }
    }

    private void ValidateFile(FileEntry entry, string user)
    {
        if (!_validated.Add(entry.Id))
        {
            return;
        }

        IFileKind kind = FileKinds.Find(entry.Type) ?? throw new CriuException(
            "FileKindNotSupported", CriuErrorKind.NotSupported, $"{user} is a file of kind {entry.Type}, which is not supported yet");
        try
        {
            kind.Validate(entry, Opening);
        }
        catch (CriuException e)
        {
            throw new CriuException(e.Id, e.Kind, $"{user}: {e.Message}", e) { Pid = Pid, Subject = e.Subject, Remedy = e.Remedy, Errno = e.Errno };
        }
    }

    private static ImageException Broken(ImageSet images, string file, string reason) =>
        new(ImageException.MalformedEntry, Path.Join(images.Path, file), 0, reason);
}
