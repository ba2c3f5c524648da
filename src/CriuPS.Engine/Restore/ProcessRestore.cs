using CriuPS.Engine.Compel;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Images;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects;
using CriuPS.Engine.Objects.Cpu;
using CriuPS.Engine.Objects.Files;
using CriuPS.Engine.Objects.Memory;
using CriuPS.Engine.Options;
using CriuPS.Engine.Proc;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Restore;

/// <summary>Makes a newborn the process of the images, step by step, until only its last registers are missing.</summary>
internal sealed class ProcessRestore : IDisposable
{
    private const int LeaderRoom = 512 << 10, ThreadRoom = 8 << 10;
    private const int FilesAtOnce = 200;
    private const ulong BytesAtOnce = 1UL << 30;

    private readonly Tracer _tracer;
    private readonly SavedProcess _saved;
    private readonly Tracee _leader;
    private readonly Action<Stage, string> _tell;
    private readonly SafeFileHandle _pidfd;
    private readonly Vdso _vdso;
    private readonly Arena _arena;
    private readonly RemoteBatch _batch;
    private readonly List<(Tracee Task, TaskRestore Restore, RemoteBatch Batch)> _tasks = [];
    private readonly ulong _holeEnd;
    private DescriptorChannel? _channel;

    public ProcessRestore(Tracer tracer, SavedProcess saved, Tracee leader, Action<Stage, string> tell)
    {
        (_tracer, _saved, _leader, _tell) = (tracer, saved, leader, tell);
        _leader.Save();
        _pidfd = PidFd.Open(saved.Pid);
        using ProcDirectory proc = new(saved.Pid);
        List<Vma> own = ProcMaps.Read(proc);
        _vdso = new Vdso(own);
        _vdso.Validate(saved.Pid, saved.Mm.Vmas, saved.ReadMemory);
        int dataSize = LeaderRoom + (saved.Cores.Count - 1) * ThreadRoom;
        ulong size = Arena.SizeFor(dataSize) + _vdso.Size;
        ulong hole = AddressHole.Find(
            [.. own.Select(v => (v.Start, v.End)), .. saved.Mm.Vmas.Select(v => (v.Start, v.End))], size, leader.Architecture.TaskSize);
        _holeEnd = hole + size;
        _arena = Arena.Create(leader, Newborn.SyscallAt(leader.Architecture), dataSize, hole);
        _batch = new RemoteBatch(leader, _arena, 0, LeaderRoom);
    }

    /// <summary>Pages that were read into memory of its own.</summary>
    public long Pages { get; private set; }

    /// <summary>All tasks of the process.</summary>
    public IEnumerable<Tracee> Tasks => _tasks.Select(t => t.Task);

    /// <summary>Does everything but the last step.</summary>
    public void Prepare()
    {
        _tell(Stage.Layout, "laying out memory");
        ClearAddressSpace();
        _channel = DescriptorChannel.Open(_batch, _pidfd, FreeNumber());
        MapEverything();
        _tell(Stage.Content, "reading memory");
        ReadPages();
        SettleMappings();
        _tell(Stage.State, "restoring descriptors and tasks");
        RestoreIds();
        RestoreFiles();
        MakeThreads();
        RestoreTasks();
    }

    /// <summary>The last step: every task gets its registers; the arena goes away.</summary>
    public void Complete()
    {
        byte[] template = _leader.Original!.Extended;
        foreach ((Tracee task, TaskRestore restore, _) in _tasks.Skip(1))
        {
            task.Load(Registers(restore.Core, template));
        }

        ulong site = _arena.Interpreter + (ulong)_leader.Architecture.Interpreter.IndexOf(_leader.Architecture.SyscallInstruction);
        Syscall.Check(_leader.RunSyscall(site, SyscallNumber.munmap, _arena.Address, _arena.Size), "munmap of the restorer");
        _leader.Load(Registers(_saved.LeaderCore, template));
    }

    public void Dispose()
    {
        _channel?.Dispose();
        _pidfd.Dispose();
    }

    private static TaskRegisters Registers(CoreEntry core, byte[] template)
    {
        ulong mask = core.Tc?.BlkSigset ?? core.ThreadCore.BlkSigset;
        return RegistersX64.Load(core.ThreadInfo, template, mask);
    }

    private void ClearAddressSpace()
    {
        ulong aside = _arena.Address + _arena.Size;
        _vdso.PutAside(_batch, aside);
        _batch.Add("munmap of the newborn's memory", SyscallNumber.munmap, 0, _arena.Address);
        _batch.Add("munmap of the newborn's memory", SyscallNumber.munmap, _holeEnd, _leader.Architecture.TaskSize - _holeEnd);
    }

    // A number for our socket that the saved table does not use.
    private int FreeNumber()
    {
        HashSet<uint> used = [.. _saved.Descriptors.Select(d => d.Fd)];
        uint highest = used.Count == 0 ? 0 : used.Max();
        using ProcDirectory proc = new(_saved.Pid);
        ulong limit = ProcLimits.Read(proc)[(int)ResourceKind.OpenFiles].Soft;
        if (highest + 1 < limit)
        {
            return (int)highest + 1;
        }

        for (long number = (long)Math.Min(limit, int.MaxValue) - 1; number >= 0; number--)
        {
            if (!used.Contains((uint)number))
            {
                return (int)number;
            }
        }

        throw new CriuException("TableFull", CriuErrorKind.NotSupported, $"process {_saved.Pid} used every descriptor number; one must be free for a restore")
        {
            Remedy = "raise the limit of open files (ulimit -n)",
        };
    }

    private void MapEverything()
    {
        foreach (VmaEntry entry in Plain().Where(e => !MappedFile.Has(e)))
        {
            MappingRestore.Map(_batch, entry, -1, HasContent(entry));
        }

        foreach (IGrouping<MappedFile, VmaEntry>[] group in Plain().Where(MappedFile.Has).GroupBy(MappedFile.Of).Chunk(FilesAtOnce))
        {
            MapFiles(group);
        }
    }

    private void MapFiles(IGrouping<MappedFile, VmaEntry>[] group)
    {
        List<SafeFileHandle> files = [];
        try
        {
            foreach (IGrouping<MappedFile, VmaEntry> users in group)
            {
                files.Add(MappedFile.Open(users.First(), id => _saved.File(id, "a mapping"), _saved.Opening));
            }

            int[] numbers = _channel!.Send(files);
            for (int i = 0; i < group.Length; i++)
            {
                foreach (VmaEntry entry in group[i])
                {
                    MappingRestore.Map(_batch, entry, numbers[i], HasContent(entry));
                }

                _batch.Add("close", SyscallNumber.close, numbers[i]);
            }

            _batch.Run();
        }
        finally
        {
            files.ForEach(f => f.Dispose());
        }
    }

    private void ReadPages()
    {
        if (_saved.Pages is not { } chain)
        {
            return;
        }

        List<(ulong Start, ulong End)> writable = [.. Plain().Where(e => !IsShared(e)).Select(e => (e.Start, e.End))];
        foreach (IGrouping<int, PageExtent> level in chain.Extents.Where(e => e.Offset >= 0).GroupBy(e => e.Level))
        {
            List<PageExtent> extents = [.. level.SelectMany(e => Cut(e, writable))];
            if (extents.Count == 0)
            {
                continue;
            }

            using SafeFileHandle file = chain.OpenPages(level.Key)
                ?? throw new ImageException(ImageException.MissingImage, "pages", 0, "the pages file is missing");
            int number = _channel!.Send([file])[0];
            PageRestore.Read(_batch, extents, number);
            _batch.Add("close", SyscallNumber.close, number);
            Pages += extents.Sum(e => (long)e.Pages);
        }
    }

    // The part of an extent that lies in mappings which get content, in pieces that one call can read.
    private static IEnumerable<PageExtent> Cut(PageExtent extent, List<(ulong Start, ulong End)> areas)
    {
        int index = areas.BinarySearch((extent.Address, ulong.MaxValue));
        for (int i = Math.Max(0, ~index - 1); i < areas.Count && areas[i].Start < extent.End; i++)
        {
            ulong start = Math.Max(extent.Address, areas[i].Start), end = Math.Min(extent.End, areas[i].End);
            while (start < end)
            {
                ulong length = Math.Min(end - start, BytesAtOnce);
                yield return extent with
                {
                    Address = start, Pages = length / Kernel.Memory.PageSize, Offset = extent.Offset + (long)(start - extent.Address),
                };
                start += length;
            }
        }
    }

    private void SettleMappings()
    {
        foreach (VmaEntry entry in Plain())
        {
            MappingRestore.Settle(_batch, entry, HasContent(entry));
        }

        foreach (VmaEntry guard in _saved.Mm.Vmas.Where(GuardRegions.IsGuard))
        {
            GuardRegions.Install(_batch, guard);
        }

        _vdso.PutInPlace(_batch, _saved.Mm.Vmas);
        using SafeFileHandle exe = RegularFile.Open(_saved.File(_saved.Mm.ExeFileId, "the executable").Reg, Fcntl.O_RDONLY);
        int number = _channel!.Send([exe])[0];
        MemoryLayout.Restore(_batch, _saved.Mm, number);
        _batch.Add("close", SyscallNumber.close, number);
        _batch.Run();
    }

    private void RestoreIds()
    {
        if (_saved.Tree.Sid == _saved.Tree.Pid)
        {
            _batch.Add("setsid", SyscallNumber.setsid);
        }
        else if (_saved.Tree.Pgid == _saved.Tree.Pid)
        {
            _batch.Add("setpgid", SyscallNumber.setpgid, 0, 0);
        }
    }

    private void RestoreFiles()
    {
        Dictionary<uint, SafeFileHandle> open = [];
        try
        {
            foreach (FdinfoEntry descriptor in _saved.Descriptors)
            {
                if (!open.ContainsKey(descriptor.Id))
                {
                    FileEntry entry = _saved.File(descriptor.Id, $"fd {descriptor.Fd}");
                    open[descriptor.Id] = FileKinds.Find(entry.Type)!.Open(entry, _saved.Opening);
                }
            }

            RestoreDirectories();
            _channel!.Place(
                [.. _saved.Descriptors.Select(d => open[d.Id])],
                [.. _saved.Descriptors.Select(d => ((int)d.Fd, (d.Flags & Fcntl.FD_CLOEXEC) != 0))]);
        }
        finally
        {
            foreach (SafeFileHandle handle in open.Values)
            {
                handle.Dispose();
            }
        }
    }

    private void RestoreDirectories()
    {
        using SafeFileHandle root = RegularFile.Open(_saved.File(_saved.Fs.RootId, "the root").Reg, Fcntl.O_PATH | Fcntl.O_DIRECTORY);
        using SafeFileHandle cwd = RegularFile.Open(_saved.File(_saved.Fs.CwdId, "the directory").Reg, Fcntl.O_PATH | Fcntl.O_DIRECTORY);
        int[] numbers = _channel!.Send([root, cwd]);
        SyscallProgram program = _batch.Room(8, 16);
        ulong here = program.Put("/\0."u8);
        if (!_saved.File(_saved.Fs.RootId, "the root").Reg.Name.Span.SequenceEqual("/"u8))
        {
            program.Add("fchdir to the root", SyscallNumber.fchdir, numbers[0]);
            program.Add("chroot", SyscallNumber.chroot, here + 2);
        }

        program.Add("fchdir", SyscallNumber.fchdir, numbers[1]);
        program.Add("umask", SyscallNumber.umask, (long)_saved.Fs.Umask);
        program.Add("close", SyscallNumber.close, numbers[0]);
        program.Add("close", SyscallNumber.close, numbers[1]);
        _batch.Run();
    }

    private void MakeThreads()
    {
        foreach ((int tid, _) in _saved.Cores.Skip(1))
        {
            SyscallProgram program = _batch.Room(1, 128);
            ulong number = program.Put((ulong)tid);
            ulong args = program.Put(new Clone3.clone_args
            {
                flags = Clone3.CLONE_VM | Clone3.CLONE_FS | Clone3.CLONE_FILES | Clone3.CLONE_SIGHAND | Clone3.CLONE_THREAD | Clone3.CLONE_SYSVSEM
                    | Clone3.CLONE_PTRACE,
                set_tid = number, set_tid_size = 1,
            });
            program.Add($"clone3 of thread {tid}", SyscallNumber.clone3, args, System.Runtime.CompilerServices.Unsafe.SizeOf<Clone3.clone_args>());
        }

        _batch.Run();
        _tasks.Add((_leader, NewTask(_saved.Pid, _saved.LeaderCore, _batch), _batch));
        int offset = LeaderRoom;
        foreach ((int tid, CoreEntry core) in _saved.Cores.Skip(1))
        {
            Tracee thread = Tracee.Adopt(_tracer, _saved.Pid, tid);
            RemoteBatch batch = new(thread, _arena, offset, ThreadRoom);
            _tasks.Add((thread, NewTask(tid, core, batch), batch));
            offset += ThreadRoom;
        }
    }

    private TaskRestore NewTask(int tid, CoreEntry core, RemoteBatch batch) => new(_saved.Pid, tid, core, _saved.LeaderCore, _saved.Mm, batch);

    private void RestoreTasks()
    {
        _channel!.AddClose();
        foreach ((_, TaskRestore restore, _) in _tasks)
        {
            foreach (ITaskState state in TaskStates.InOrder)
            {
                state.Restore(restore);
            }
        }

        foreach ((_, _, RemoteBatch batch) in _tasks)
        {
            batch.Start();
        }

        foreach ((_, _, RemoteBatch batch) in _tasks)
        {
            batch.Finish();
        }
    }

    private IEnumerable<VmaEntry> Plain() =>
        _saved.Mm.Vmas.Where(e => ((VmaStatus)e.Status & (VmaStatus.Vdso | VmaStatus.Vvar | VmaStatus.Vsyscall | VmaStatus.Guard)) == 0);

    private static bool IsShared(VmaEntry entry) => ((VmaStatus)entry.Status & (VmaStatus.FileShared | VmaStatus.AnonymousShared)) != 0;

    // Whether saved pages lie in a mapping.
    private bool HasContent(VmaEntry entry)
    {
        if (IsShared(entry) || _saved.Pages is not { } pages)
        {
            return false;
        }

        IReadOnlyList<PageExtent> extents = pages.Extents;
        int low = 0, high = extents.Count;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (extents[middle].End <= entry.Start)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        return low < extents.Count && extents[low].Address < entry.End;
    }
}
