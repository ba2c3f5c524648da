using CriuPS.Engine.Errors;
using CriuPS.Engine.Images;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects.Credentials;
using CriuPS.Engine.Objects.Files;
using CriuPS.Engine.Objects.Memory;

namespace CriuPS.Engine.Restore;

/// <summary>
/// One process of an image set, read and validated before anything is started: every reference resolves, every byte range lies in its file, every file that it
/// needs is there as it was.
/// </summary>
internal sealed class SavedProcess : IDisposable
{
    private const uint AliveState = 1, StoppedState = 3;

    private readonly ImageSet _images;
    private readonly SavedFiles _files;
    private readonly List<(FdinfoEntry Descriptor, FileEntry Entry)> _owned = [];

    private SavedProcess(ImageSet images, SavedFiles files, PstreeEntry tree)
    {
        (_images, _files) = (images, files);
        Tree = tree;
    }

    public PstreeEntry Tree { get; }

    public int Pid => (int)Tree.Pid;

    public required TaskKobjIdsEntry Ids { get; init; }

    public required MmEntry Mm { get; init; }

    public required FsEntry Fs { get; init; }

    /// <summary>What CRIU's images cannot say of it; null in sets that CRIU made.</summary>
    public required CriupsProcessEntry? Extra { get; init; }

    /// <summary>The images of its tasks by tid, the leader first.</summary>
    public required IReadOnlyList<(int Tid, CoreEntry Core)> Cores { get; init; }

    /// <summary>The filters of system calls of each task, in the order of <see cref="Cores"/>.</summary>
    public required IReadOnlyList<List<SeccompFilter>> Filters { get; init; }

    /// <summary>Whether all tasks have the same filters.</summary>
    public required bool SharesFilters { get; init; }

    /// <summary>Whether system calls of any task are limited.</summary>
    public bool IsFiltered => Cores.Any(c => c.Core.ThreadCore.SeccompMode != SeccompMode.Disabled);

    public required IReadOnlyList<FdinfoEntry> Descriptors { get; init; }

    public required PageMapChain? Pages { get; init; }

    public CoreEntry LeaderCore => Cores[0].Core;

    /// <summary>The signal that it was stopped by; 0 where it was not.</summary>
    public int StopSignal => LeaderCore.Tc.TaskState != StoppedState ? 0 : LeaderCore.Tc.HasStopSigno ? (int)LeaderCore.Tc.StopSigno : Signals.SIGSTOP;

    /// <summary>Whether its parent has not heard yet that it stopped.</summary>
    public bool StopIsNews => StopSignal != 0 && LeaderCore.Tc.ExitCode != 0;

    /// <summary>The mappings that are made again one by one: all but those of the kernel and the guards within others.</summary>
    public IEnumerable<VmaEntry> Mappings =>
        Mm.Vmas.Where(e => ((VmaStatus)e.Status & (VmaStatus.Vdso | VmaStatus.Vvar | VmaStatus.Vsyscall | VmaStatus.Guard)) == 0);

    /// <summary>Reads a process; <see cref="Validate"/> comes next.</summary>
    /// <exception cref="CriuException">Something is missing or malformed.</exception>
    public static SavedProcess Read(ImageSet images, PstreeEntry tree, CoreEntry leader, SavedFiles files)
    {
        TaskKobjIdsEntry ids = images.ReadSingle<TaskKobjIdsEntry>(ImageType.Ids, tree.Pid);
        SeccompEntry? filters = images.TryReadSingle(ImageType.Seccomp, null, out SeccompEntry? entry) ? entry : null;
        (int, CoreEntry)[] threads = Workers.Map(
            [.. tree.Threads.Where(tid => tid != tree.Pid)], tid => ((int)tid, images.ReadSingle<CoreEntry>(ImageType.Core, tid)));
        List<(int Tid, CoreEntry Core)> cores = [((int)tree.Pid, leader), .. threads];
        List<List<SeccompFilter>> chains = [.. cores.Select(c => SeccompImage.ChainOf(images, filters, c.Core))];
        return new SavedProcess(images, files, tree)
        {
            Ids = ids,
            Mm = images.ReadSingle<MmEntry>(ImageType.Mm, tree.Pid),
            Fs = images.ReadSingle<FsEntry>(ImageType.Fs, tree.Pid),
            Extra = images.TryReadSingle(ImageType.CriupsProcess, tree.Pid, out CriupsProcessEntry? extra) ? extra : null,
            Cores = cores,
            Filters = chains,
            SharesFilters = chains.Skip(1).All(chain => chain.SequenceEqual(chains[0])),
            Descriptors = InOrder([.. images.ReadAll<FdinfoEntry>(ImageType.FdInfo, ids.FilesId)]),
            Pages = PageMapChain.Open(images, ImageType.PageMap, tree.Pid),
        };
    }

    // As they usually are.
    private static List<FdinfoEntry> InOrder(List<FdinfoEntry> table)
    {
        for (int i = 1; i < table.Count; i++)
        {
            if (table[i].Fd < table[i - 1].Fd)
            {
                return [.. table.OrderBy(d => d.Fd)];
            }
        }

        return table;
    }

    /// <summary>Whether a file of whoever restores takes the place of another one, and stays his.</summary>
    public bool IsShared(FileEntry entry) => _files.Opening.Inherited.Shares(entry);

    /// <summary>The descriptors whose files tell somebody what happens, each file once, after <see cref="Validate"/>.</summary>
    public IEnumerable<(FdinfoEntry Descriptor, FileEntry Entry)> Owned => _owned.Where(owned => !IsShared(owned.Entry)).DistinctBy(owned => owned.Entry.Id);

    /// <summary>The file with an id.</summary>
    public FileEntry File(uint id, string user) => _files[id, user];

    /// <summary>Opens what is behind a mapping.</summary>
    public Microsoft.Win32.SafeHandles.SafeFileHandle OpenMapped(VmaEntry entry) =>
        MappedFile.Open(entry, id => _files[id, "a mapping"], _files.Opening);

    /// <summary>Opens a file that has no descriptor: an executable or a directory.</summary>
    public Microsoft.Win32.SafeHandles.SafeFileHandle OpenNamed(uint id, string user, int flags) =>
        MappedFile.Open(_files[id, user], flags, _files.Opening);

    /// <summary>Whether its root directory is ours: its names lead it where they lead us.</summary>
    public bool HasOurRoot => File(Fs.RootId, "the root").Reg.Name.Span.SequenceEqual("/"u8);

    /// <summary>The name that leads it to its working directory; null where no name does.</summary>
    public Google.Protobuf.ByteString? WorkingDirectoryName =>
        HasOurRoot && File(Fs.CwdId, "the directory").Reg is { } cwd && RegularFile.HasPlainName(cwd, _files.Opening) ? cwd.Name : null;

    /// <summary>Whether two processes run the same file.</summary>
    public bool RunsTheSameAs(SavedProcess other)
    {
        FileEntry own = _files[Mm.ExeFileId, "the executable"], theirs = _files[other.Mm.ExeFileId, "the executable"];
        return own.Id == theirs.Id
            || (own.Reg is { } one && theirs.Reg is { } two && one.Name.Equals(two.Name) && !_files.Opening.Remaps.Has(one) && !_files.Opening.Remaps.Has(two));
    }

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

    public void Dispose() => Pages?.Dispose();

    /// <summary>Validates a process, and the files that it needs.</summary>
    /// <exception cref="CriuException">Something contradicts itself, or is not supported.</exception>
    public void Validate()
    {
        ValidateCores();
        ValidateMappings();
        foreach (FdinfoEntry descriptor in Descriptors)
        {
            FileEntry entry = _files.Validate(descriptor, Pid);
            if (FileOwner.HasOne(entry))
            {
                _owned.Add((descriptor, entry));
            }
        }

        _files.Validate(Mm.ExeFileId, Pid, () => "the executable");
        _files.Validate(Fs.CwdId, Pid, () => "the working directory");
        _files.Validate(Fs.RootId, Pid, () => "the root directory");
        if (Extra?.SessionKeyring is { } keyring && !SessionKeyring.IsSound(keyring))
        {
            throw new ImageException(ImageException.MalformedEntry, $"criups-process-{Pid}", 0, "its session keyring is impossible");
        }
    }

    /// <summary>Whether it is a 32-bit program.</summary>
    public bool IsCompat => LeaderCore.ThreadInfo.Gpregs.Mode == UserX86RegsMode.Compat;

    private void ValidateCores()
    {
        if (LeaderCore.Tc is null || LeaderCore.Tc.Sigactions.Count < 62)
        {
            throw Broken(_images, $"core-{Pid}.img", "it is not the image of a process's leader");
        }

        foreach ((int tid, CoreEntry core) in Cores)
        {
            if (core.Mtype != CoreEntryMarch.X8664 || core.ThreadInfo?.Gpregs is null || core.ThreadInfo.Fpregs is null || core.ThreadCore is null)
            {
                throw Broken(_images, $"core-{tid}.img", "it lacks the registers of an x86-64 task");
            }
        }

        if (LeaderCore.Tc.TaskState is not (AliveState or StoppedState))
        {
            throw new CriuException("TaskStateNotSupported", CriuErrorKind.NotSupported, $"process {Pid} was dumped in state {LeaderCore.Tc.TaskState}");
        }

    }

    private CriuException Unsupported(string what) =>
        new("ObjectNotSupported", CriuErrorKind.NotSupported, $"process {Pid} was dumped with {what}, which are not supported yet");

    private static string NameOf(VmaEntry entry) => $"mapping {entry.Start:x}-{entry.End:x}";

    private void ValidateMappings()
    {
        const VmaStatus Supported = VmaStatus.Regular | VmaStatus.Stack | VmaStatus.Vsyscall | VmaStatus.Vdso | VmaStatus.Heap | VmaStatus.FilePrivate
            | VmaStatus.FileShared | VmaStatus.AnonymousShared | VmaStatus.AnonymousPrivate | VmaStatus.MemFd | VmaStatus.Vvar | VmaStatus.AioRing;
        ulong last = 0;
        foreach (VmaEntry entry in Mm.Vmas.Where(e => !GuardRegions.IsGuard(e)))
        {
            VmaStatus status = (VmaStatus)entry.Status;
            if (entry.Start < last || entry.End <= entry.Start || entry.Start % Kernel.Memory.PageSize != 0)
            {
                throw Broken(_images, $"mm-{Pid}.img", $"{NameOf(entry)} is out of order");
            }

            if ((status & ~Supported) != 0)
            {
                throw Unsupported($"{NameOf(entry)} of kind {status & ~Supported}: such mappings");
            }

            last = entry.End;
            if (AioRing.Is(entry) && !Mm.Aios.Any(ring => ring.Id == entry.Start && ring.RingLen == entry.End - entry.Start))
            {
                throw Broken(_images, $"mm-{Pid}.img", $"{NameOf(entry)} is a ring of io_setup that is not described");
            }

            ValidateHuge(entry);
            if ((status & (VmaStatus.FilePrivate | VmaStatus.FileShared)) != 0)
            {
                _files.Validate((uint)entry.Shmid, Pid, () => NameOf(entry));
            }
            else if ((status & VmaStatus.AnonymousShared) != 0)
            {
                _files.Opening.SharedMemory.ValidateArea(entry);
            }
        }
    }

    // A mapping takes all its huge pages at once, unless it was made to wait for them.
    private void ValidateHuge(VmaEntry entry)
    {
        if ((entry.Flags & Kernel.Memory.MAP_HUGETLB) == 0 || (entry.Flags & Kernel.Memory.MAP_NORESERVE) != 0)
        {
            return;
        }

        SharedMemoryOpening memory = _files.Opening.SharedMemory;
        if (((VmaStatus)entry.Status & VmaStatus.MemFd) != 0)
        {
            memory.ValidateHuge(_files[(uint)entry.Shmid, $"mapping {entry.Start:x}-{entry.End:x}"].Memfd.InodeId, entry);
        }
        else if (((VmaStatus)entry.Status & VmaStatus.AnonymousPrivate) != 0 && HugePages.SizeIn(entry.Flags) is not 0 and long size)
        {
            memory.Huge.Need(size, (long)(entry.End - entry.Start));
        }
    }

    private static ImageException Broken(ImageSet images, string file, string reason) =>
        new(ImageException.MalformedEntry, Path.Join(images.Path, file), 0, reason);
}
