using CriuPS.Engine.Compel;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects;
using CriuPS.Engine.Objects.Credentials;
using CriuPS.Engine.Objects.Cpu;
using CriuPS.Engine.Objects.Files;
using CriuPS.Engine.Objects.Signals;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Restore;

/// <summary>Makes a newborn the process of the images, stage by stage, until only its last registers are missing.</summary>
internal sealed class ProcessRestore : IDisposable
{
    private readonly RestoreSite _site;
    private readonly SavedProcess _saved;
    private readonly RemoteBatch _batch;
    private readonly DescriptorChannel _channel;
    private readonly bool _ownsChannel, _ownsDirectories;
    private readonly Dictionary<uint, CriupsThreadEntry> _extras;
    private readonly List<(Tracee Task, TaskRestore Restore, RemoteBatch Batch)> _tasks = [];
    private readonly List<RemoteDescriptor> _sent = [];
    private SelfMadeFiles? _selfMade;
    private int _placed, _messages;
    private TaskRegisters? _leaderRegisters;
    private byte[]? _threadRegisters;

    /// <summary>Begins; <see cref="LayOut"/> comes when the newborn has run what was collected.</summary>
    /// <param name="site">Where the restorer lives.</param>
    /// <param name="tree">The image set.</param>
    /// <param name="saved">The image.</param>
    /// <param name="newborn">Who becomes the process.</param>
    /// <param name="parent">Its parent, where it is in the tree.</param>
    public ProcessRestore(RestoreSite site, SavedTree tree, SavedProcess saved, Member newborn, ProcessRestore? parent)
    {
        (_site, _saved, _batch) = (site, saved, newborn.Batch);
        _extras = saved.Extra?.Threads.DistinctBy(thread => thread.Tid).ToDictionary(thread => thread.Tid) ?? [];
        _ownsChannel = !tree.SharesWithParent(saved, ids => ids.FilesId);
        _ownsDirectories = !tree.SharesWithParent(saved, ids => ids.FsId);
        _channel = _ownsChannel ? DescriptorChannel.Open(_batch, site.Underway, FreeNumber()) : parent!._channel.For(_batch);
        Memory = new MemoryRestore(site, saved, newborn.Memory, _batch, _channel);
        _tasks.Add((newborn.Task, NewTask(0, _batch), _batch));
    }

    public SavedProcess Saved => _saved;

    public MemoryRestore Memory { get; }

    /// <summary>All tasks of the process.</summary>
    public IEnumerable<Tracee> Tasks => _tasks.Select(t => t.Task);

    /// <summary>The system calls of all tasks, the leader's first.</summary>
    public IReadOnlyList<RemoteBatch> Batches => [.. _tasks.Select(t => t.Batch)];

    /// <summary>Whether the process has a descriptor table of its own.</summary>
    public bool OwnsDescriptors => _ownsChannel;

    /// <summary>Gives it its memory.</summary>
    public void LayOut()
    {
        if (_ownsChannel)
        {
            _channel.Connect();
        }

        Memory.Clear();
        Memory.Map();
        Memory.Fill();
        foreach (ITaskState state in TaskStates.InOrder)
        {
            state.RestoreEarly(_tasks[0].Restore);
        }
    }

    /// <summary>Gives it its root and working directory.</summary>
    public void RestoreDirectories()
    {
        if (!_ownsDirectories)
        {
            return;
        }

        if (_saved.WorkingDirectoryName is { } name)
        {
            SyscallProgram some = _batch.Room(2, name.Length + sizeof(ulong));
            some.Add("chdir", SyscallNumber.chdir, some.Put(CString.From(name.Span)));
            some.Add("umask", SyscallNumber.umask, (long)_saved.Fs.Umask);
            return;
        }

        using SafeFileHandle root = _saved.OpenNamed(_saved.Fs.RootId, "the root", Fcntl.O_PATH | Fcntl.O_DIRECTORY);
        using SafeFileHandle cwd = _saved.OpenNamed(_saved.Fs.CwdId, "the directory", Fcntl.O_PATH | Fcntl.O_DIRECTORY);
        RemoteDescriptor[] numbers = _channel.Send([root, cwd]);
        SyscallProgram program = _batch.Room(6, 16);
        ulong here = program.Put("/\0."u8);
        if (!_saved.HasOurRoot)
        {
            program.Add("fchdir to the root", SyscallNumber.fchdir, numbers[0]);
            program.Add("chroot", SyscallNumber.chroot, here + 2);
        }

        program.Add("fchdir", SyscallNumber.fchdir, numbers[1]);
        program.Add("umask", SyscallNumber.umask, (long)_saved.Fs.Umask);
        program.Add("close", SyscallNumber.close, numbers[0]);
        program.Add("close", SyscallNumber.close, numbers[1]);
    }

    /// <summary>Lets it make those of its files that it can make by itself; <see cref="ReceiveOwnFiles"/> comes when that has run.</summary>
    public void MakeOwnFiles(TreeFileOpening opening)
    {
        if (_ownsChannel)
        {
            _selfMade = new SelfMadeFiles(opening.OwnFilesOf(_saved.Descriptors), _channel.Number, _batch, _saved.HasOurRoot);
            opening.Ahead?.Connect(_channel);
            _selfMade.Add();
        }
    }

    /// <summary>Lets it receive those that have been opened meanwhile, as many as are under way; in the end comes <see cref="FinishOwnFiles"/>.</summary>
    /// <returns>Whether there is more to do when it has run.</returns>
    public bool ReceiveOwnFiles(TreeFileOpening opening)
    {
        if (_selfMade is not { } files || opening.Ahead is not { } ahead)
        {
            return false;
        }

        ahead.Received(_messages);
        _messages = files.Messages == 0 ? 0 : ahead.AwaitSent(Math.Min(files.Messages, RemoteBatch.MostMessages));
        for (int i = 0; i < _messages; i++)
        {
            files.AddReceipt();
        }

        return _messages > 0;
    }

    /// <summary>The descriptors of all other files than its own, after <see cref="MakeOwnFiles"/>; none where it has its parent's table.</summary>
    public IReadOnlyList<FdinfoEntry> Others => _selfMade?.Others ?? [];

    /// <summary>Adds what is left to do with them.</summary>
    public void FinishOwnFiles() => _selfMade?.Finish();

    /// <summary>Puts the descriptors in their places that it has received, and opens and sends the next ones, as many as may be under way.</summary>
    /// <returns>Whether there is more to do when it has run.</returns>
    public bool RestoreFiles(TreeFileOpening opening)
    {
        if (_selfMade?.Others is not { } all)
        {
            return false;
        }

        _channel.Place(_sent, [.. all.Skip(_placed).Take(_sent.Count).Select(d => ((int)d.Fd, FileTable.IsClosedOnExec(d)))]);
        _placed += _sent.Count;
        _sent.Clear();
        if (_placed == all.Count)
        {
            return false;
        }

        int most = _site.Underway.Most;
        FdinfoEntry[] some = [.. all.Skip(_placed).Take(most)];
        FdinfoEntry[] next = [.. all.Skip(_placed + some.Length).Take(most)];
        _sent.AddRange(_channel.Send(opening.Open(some, next)));
        opening.Done(some);
        return true;
    }

    /// <summary>Makes a terminal that of its session, which it leads; those inherit it who are born later.</summary>
    public void TakeTerminal(SafeFileHandle slave)
    {
        RemoteDescriptor number = _channel.Send([slave])[0];
        _batch.Add("ioctl(TIOCSCTTY)", SyscallNumber.ioctl, number, Terminal.TIOCSCTTY, 0);
        _batch.Add("close", SyscallNumber.close, number);
        _batch.Run();
    }

    /// <summary>Puts a group into the foreground of its session's terminal.</summary>
    /// <param name="slave">The terminal.</param>
    /// <param name="group">The group. It may have ended before the dump: the kernel keeps its number.</param>
    public void SetForeground(SafeFileHandle slave, int group)
    {
        RemoteDescriptor number = _channel.Send([slave])[0];
        SyscallProgram program = _batch.Room(2, sizeof(int));
        program.Try("ioctl(TIOCSPGRP)", SyscallNumber.ioctl, number, Terminal.TIOCSPGRP, program.Put(group));
        program.Add("close", SyscallNumber.close, number);
        _batch.Run();
    }

    /// <summary>Opens /dev/tty, which leads to the terminal of the session.</summary>
    /// <param name="flags">How it is opened.</param>
    /// <param name="descriptor">Where it is put.</param>
    /// <returns>The open file.</returns>
    public SafeFileHandle OpenSessionTerminal(int flags, FdinfoEntry descriptor)
    {
        SyscallProgram program = _batch.Room(3, 16);
        ulong path = program.Put("/dev/tty\0"u8);
        Operation open = program.Add("open of /dev/tty", SyscallNumber.openat, OpenAt.AT_FDCWD, path, (flags & ~Fcntl.O_CLOEXEC) | Fcntl.O_NOCTTY, 0);
        program.AddMove(open, (int)descriptor.Fd, FileTable.IsClosedOnExec(descriptor));
        _batch.Run();
        using SafeFileHandle pidfd = PidFd.Open(_saved.Pid);
        return PidFd.GetFd(pidfd, (int)descriptor.Fd);
    }

    /// <summary>Lets it make a file that only it can make; false where it is not the one.</summary>
    public bool MakeInside(SavedFiles files, FdinfoEntry descriptor)
    {
        FileEntry entry = files[descriptor];

        // What is made inside is made at once, before what has been collected for the threads.
        Dictionary<int, RemoteBatch> batches = _tasks.Select((t, i) => i == 0 ? t.Batch : NewBatch(t.Task, i, onlyCollects: false))
            .ToDictionary(batch => batch.Task.Tid);
        return FileKinds.Find(entry.Type)!.MakeInside(entry, descriptor, batches, files.Opening);
    }

    /// <summary>Takes an open file from a process that has it; not every file can be sent over a socket.</summary>
    /// <param name="maker">Who has it.</param>
    /// <param name="fd">Its number there.</param>
    /// <param name="descriptor">Its place here.</param>
    public void TakeFrom(ProcessRestore maker, int fd, FdinfoEntry descriptor)
    {
        bool closes = FileTable.IsClosedOnExec(descriptor);
        SyscallProgram program = _batch.Room(5);
        if (maker == this && fd == (int)descriptor.Fd)
        {
            program.Add($"fcntl(F_SETFD) of fd {fd}", SyscallNumber.fcntl, fd, Fcntl.F_SETFD, closes ? Fcntl.FD_CLOEXEC : 0);
            _batch.Run();
            return;
        }

        Operation process = program.Add("pidfd_open", SyscallNumber.pidfd_open, maker._saved.Pid, 0);
        Operation taken = program.Add($"pidfd_getfd of fd {fd}", SyscallNumber.pidfd_getfd, process, fd, 0);
        program.AddMove(taken, (int)descriptor.Fd, closes);
        program.Add("close", SyscallNumber.close, process);
        _batch.Run();
    }

    /// <summary>Puts another file at the place of a descriptor.</summary>
    public void Replace(SafeFileHandle file, FdinfoEntry descriptor)
    {
        RemoteDescriptor number = _channel.Send([file])[0];
        _batch.Room(2).AddMove(number, (int)descriptor.Fd, FileTable.IsClosedOnExec(descriptor));
        _batch.Run();
    }

    /// <summary>Finishes those of its files that can only be finished by itself.</summary>
    public void SettleFiles(TreeFileOpening opening)
    {
        if (_ownsChannel)
        {
            opening.Settle([.. Others, .. _selfMade?.Unsettled ?? []], _batch);
            foreach ((FileEntry entry, SafeFileHandle epoll) in opening.TravellingSets(Others))
            {
                RemoteDescriptor number = _channel.Send([epoll])[0];
                EventPollFile.Add(entry, number, _batch);
                _batch.Add("close", SyscallNumber.close, number);
                _batch.Run();
            }
        }

        foreach (FileLockEntry held in opening.LocksOf(_saved.Pid))
        {
            FileLocks.Restore(_batch, held);
        }
    }

    /// <summary>Brings its other threads into the world; they are there when it has run.</summary>
    public void MakeThreads()
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
    }

    /// <summary>Collects what its threads will do, while its leader makes them.</summary>
    public void ExpectThreads()
    {
        foreach ((int tid, _) in _saved.Cores.Skip(1))
        {
            Tracee thread = Tracee.Expect(_site.Tracer, _saved.Pid, tid);
            RemoteBatch batch = NewBatch(thread, _tasks.Count, onlyCollects: true);
            _tasks.Add((thread, NewTask(_tasks.Count, batch), batch));
        }

        // A process that comes back stopped stops before its threads do anything.
        if (_saved.StopSignal == 0)
        {
            CollectThreads();
        }
    }

    /// <summary>Takes the threads over that were made.</summary>
    public void AdoptThreads()
    {
        foreach ((Tracee thread, _, _) in _tasks.Skip(1))
        {
            thread.AwaitFreeze();
            _threadRegisters ??= thread.ReadGeneral();
        }
    }

    private void CollectThreads()
    {
        foreach ((_, TaskRestore restore, _) in _tasks.Skip(1))
        {
            Restore(restore);
        }
    }

    private static void Restore(TaskRestore restore)
    {
        foreach (ITaskState state in TaskStates.InOrder)
        {
            state.Restore(restore);
        }
    }

    /// <summary>Gives every task what is the task's own; the leader has it when it runs after all others.</summary>
    public void RestoreTasks()
    {
        if (_ownsChannel)
        {
            _channel.AddClose();
            RestoreOwners();
        }

        foreach (Tracee task in _saved.IsFiltered ? Tasks : [])
        {
            SeccompFilters.Suspend(task.Tid, Birth.TraceOptions);
        }

        if (_saved.StopSignal != 0)
        {
            CollectThreads();
        }

        Restore(_tasks[0].Restore);
    }

    /// <summary>Gives its threads their registers, and starts the leader's last system call: the arena goes away.</summary>
    public void LeaveArena()
    {
        Tracee leader = _tasks[0].Task;
        SignalActions.RestoreTrap(_saved.LeaderCore, leader, _site.SyscallAt, _site.Arena.Data);
        foreach ((Tracee task, TaskRestore restore, _) in _tasks)
        {
            PendingSignals.RestoreTrap(restore, task, _site.SyscallAt, _site.Arena.Data);
        }

        TaskRegisters[] registers = Workers.Map(_tasks, task => SavedRegisters(task.Restore));
        foreach (((Tracee task, TaskRestore restore, _), TaskRegisters own) in _tasks.Zip(registers).Skip(1))
        {
            RestoreCpu(task, restore, own);
            task.Load(own);
        }

        RestoreCpu(leader, _tasks[0].Restore, registers[0]);
        _leaderRegisters = registers[0];
        leader.StartSyscall(_site.SyscallAt, SyscallNumber.munmap, _site.Arena.Address, _site.Arena.Size);
    }

    /// <summary>The last step: the leader gets its registers.</summary>
    public void Complete()
    {
        Tracee leader = _tasks[0].Task;
        Syscall.Check(leader.FinishSyscall(), "munmap of the restorer");
        leader.Load(_leaderRegisters!);
    }

    public void Dispose()
    {
        if (_ownsChannel)
        {
            _channel.Dispose();
        }
    }

    private TaskRegisters SavedRegisters(TaskRestore restore) => RegistersX64.Load(
        restore.Core.ThreadInfo, _site.ExtendedState, restore.Core.Tc?.BlkSigset ?? restore.Core.ThreadCore.BlkSigset);

    private void RestoreCpu(Tracee task, TaskRestore restore, TaskRegisters registers)
    {
        CompatTask.Restore(task, restore, _site);
        DebugRegisters.Restore(task, restore.Extra);
        InterruptedWait.Resume(task, restore.Extra, registers, _site.SyscallAt, _site.Arena.Data);
    }

    // A number for our socket that the saved table, which is in order, does not use.
    private int FreeNumber()
    {
        uint above = _saved.Descriptors.Count == 0 ? 1 : _saved.Descriptors[^1].Fd + 1;
        if (above < _site.DescriptorLimit)
        {
            return (int)above;
        }

        HashSet<uint> used = [.. _saved.Descriptors.Select(d => d.Fd)];
        for (long number = (long)Math.Min(_site.DescriptorLimit, int.MaxValue) - 1; number >= 0; number--)
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

    private void RestoreOwners()
    {
        foreach ((FdinfoEntry descriptor, FileEntry entry) in _saved.Owned)
        {
            if (FileOwner.In(entry) is { } owner)
            {
                FileOwner.Restore(_batch, (int)descriptor.Fd, owner);
            }

            FileOwner.RestoreAsync(_batch, (int)descriptor.Fd, entry);
        }
    }

    private RemoteBatch NewBatch(Tracee thread, int index, bool onlyCollects) => _site.NewBatch(thread, index, () => _threadRegisters, onlyCollects);

    // Filters that all threads have are installed by the leader for all.
    private TaskRestore NewTask(int index, RemoteBatch batch)
    {
        (int tid, CoreEntry core) = _saved.Cores[index];
        return new TaskRestore(_saved.Pid, tid, core, _saved.LeaderCore, _saved.Mm, batch)
        {
            HasThreads = _saved.Cores.Count > 1, Inherited = _site.Inherited, ProcessExtra = _saved.Extra, Extra = _extras.GetValueOrDefault((uint)tid), SharesFilters = _saved.SharesFilters,
            Filters = index == 0 || !_saved.SharesFilters ? _saved.Filters[index] : [],
        };
    }
}
