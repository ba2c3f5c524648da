using System.Diagnostics;
using CriuPS.Engine.Compel;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Images;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects.Family;
using CriuPS.Engine.Objects.Signals;
using CriuPS.Engine.Objects.Timers;
using CriuPS.Engine.Options;
using CriuPS.Engine.Proc;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Restore;

/// <summary>Makes the newborn root, with the descendants that it gets, the tree of the images, until only the last registers are missing.</summary>
internal sealed class TreeRestore(Tracer tracer, SavedTree saved, Tracee root, Action<EventLevel, Stage, string> tell) : IDisposable
{
    private const int AtOnce = 16;

    private readonly Dictionary<int, Member> _members = [];
    private readonly List<Member> _inOrder = [];
    private readonly KeyringBirth _keyrings = new();

    /// <summary>Pages that were read.</summary>
    public long Pages => Processes.Sum(p => p.Memory.Pages) + saved.Files.Opening.SharedMemory.Pages;

    /// <summary>Pages that were compared with those of a parent.</summary>
    public long PagesCompared => Processes.Sum(p => p.Memory.PagesCompared);

    /// <summary>Those of them that were equal.</summary>
    public long PagesInCommon => Processes.Sum(p => p.Memory.PagesInCommon);

    /// <summary>When all processes were there.</summary>
    public long BornAt { get; private set; }

    private IEnumerable<ProcessRestore> Processes => _inOrder.Where(m => m.Process is not null).Select(m => m.Process!);

    /// <summary>Does everything but the last step.</summary>
    public void Prepare()
    {
        tell(EventLevel.Information, Stage.Layout, "laying out memory");
        RestoreSite site = RestoreSite.Create(tracer, saved, root);
        FamilyBirth birth = new(site, saved);
        Member first = new(saved.Root, root, site.NewBatch(root)) { Memory = null, Keyring = KeyringBirth.First(saved) };
        site.PutVdsoAside(first.Batch);
        SignalActions.ResetIgnored(first.Batch);
        EnterTime(first.Batch);
        RestoreGenerations(site, birth, first);
        BornAt = Stopwatch.GetTimestamp();
        _keyrings.Finish();
        JoinGroups();
        EndTheDead(birth);
        tell(EventLevel.Information, Stage.State, "restoring descriptors and tasks");
        foreach (ProcessRestore[] some in Groups(Processes))
        {
            InStep(
                some,
                process =>
                {
                    process.Memory.Settle();
                    process.MakeThreads();
                },
                meanwhile: () => Array.ForEach(some, process => process.ExpectThreads()));
            Array.ForEach(some, process => process.AdoptThreads());
        }

        RestoreFiles();
        StopTheStopped();
        foreach (ProcessRestore[] some in Groups(Processes))
        {
            RestoreTasks(some);
        }

        saved.Files.Opening.SharedMemory.Seal();

        // From here on only the processes hold their files: the end of a pipe that we kept open would keep its reader waiting.
        saved.Files.Dispose();
    }

    /// <summary>The last step: every task gets its registers, and the restorer goes away.</summary>
    public void Complete()
    {
        foreach (ProcessRestore[] some in Groups(Processes))
        {
            Array.ForEach(some, process => process.LeaveArena());
            Array.ForEach(some, process => process.Complete());
        }
    }

    /// <summary>Lets all go.</summary>
    /// <param name="stopped">Whether all are left stopped, those too that ran.</param>
    public void Release(bool stopped)
    {
        foreach (ProcessRestore process in Processes)
        {
            if (stopped && process.Saved.StopSignal == 0)
            {
                Signals.Kill(process.Saved.Pid, Signals.SIGSTOP);
            }

            foreach (Tracee task in process.Tasks)
            {
                // A process may end as soon as its first task runs.
                task.Release();
            }
        }
    }

    public void Dispose()
    {
        foreach (ProcessRestore process in Processes)
        {
            process.Dispose();
        }
    }

    // Without the privileges the tree comes back with clocks that jump, unless it had other clocks than its machine all along.
    private void EnterTime(RemoteBatch root)
    {
        try
        {
            if (saved.Clocks is { } clocks)
            {
                TimeNamespace.Enter(root, clocks);
            }
        }
        catch (CriuException e) when (e.Id == "ClocksNotSet" && !saved.HasOwnTime)
        {
            tell(EventLevel.Warning, Stage.Layout, $"{e.Message}; {e.Remedy}");
        }
    }

    // A process gets its memory before it has children: what they have in common with it is theirs by birth.
    private void RestoreGenerations(RestoreSite site, FamilyBirth birth, Member first)
    {
        for (List<Member> generation = [first]; generation.Count > 0;)
        {
            List<Member> next = [];
            foreach (Member[] some in Groups(generation))
            {
                LayOut(site, birth, some);
                next.AddRange(some.SelectMany(birth.By));
            }

            foreach (Member member in generation)
            {
                foreach (PlannedBirth orphan in saved.Plan.BirthsBy(member.Pid).Where(b => b.Way == BirthWay.Orphan))
                {
                    next.Add(birth.Orphan(member, orphan, _members[orphan.Child.Parent]));
                }
            }

            generation = next;
        }
    }

    private void LayOut(RestoreSite site, FamilyBirth birth, Member[] newborns)
    {
        tracer.Cancellation.ThrowIfCancellationRequested();
        foreach (Member member in newborns)
        {
            _members.Add(member.Pid, member);
            _inOrder.Add(member);
            if (saved.Process(member.Pid) is { } process)
            {
                ProcessRestore? parent = _members.GetValueOrDefault(member.Place.Parent)?.Process;
                member.Process = new ProcessRestore(site, saved, process, member, parent);
            }
        }

        RemoteBatch.RunAll(newborns.Select(m => m.Batch));
        Workers.Each([.. newborns.Select(m => m.Process).OfType<ProcessRestore>()], process => process.Memory.Compare());
        foreach (Member member in newborns)
        {
            if (member.Process is { } process)
            {
                process.LayOut();
                member.Memory = process.Memory;
            }

            _keyrings.Enter(member);
            birth.Prepare(member);
        }

        RemoteBatch.RunAll(newborns.Select(m => m.Batch));
    }

    // Tasks run side by side, but a table of descriptors has one user at a time: the numbers that it gives must be foreseen.
    private IEnumerable<T[]> Groups<T>(IEnumerable<T> all) => all.ToList().Chunk(saved.HasSharedTables ? 1 : AtOnce);

    private void InStep(IReadOnlyCollection<ProcessRestore> processes, Action<ProcessRestore> collect, Action? meanwhile = null)
    {
        tracer.Cancellation.ThrowIfCancellationRequested();
        foreach (ProcessRestore process in processes)
        {
            collect(process);
        }

        RemoteBatch.RunAll(processes.Select(p => p.Batches[0]), meanwhile);
    }

    private void InSteps(IReadOnlyCollection<ProcessRestore> processes, Func<ProcessRestore, bool> collect, Action? meanwhile = null)
    {
        for (bool more = true; more;)
        {
            more = false;
            InStep(processes, process => more |= collect(process), meanwhile);
        }
    }

    // The leaders come last: what belongs to the process and is reset by any thread's credentials (dumpable) is among their states.
    private void RestoreTasks(ProcessRestore[] processes)
    {
        tracer.Cancellation.ThrowIfCancellationRequested();
        foreach (ProcessRestore process in processes)
        {
            process.RestoreTasks();
        }

        RemoteBatch.RunAll(processes.SelectMany(p => p.Batches.Skip(1)));
        RemoteBatch.RunAll(processes.Select(p => p.Batches[0]));
    }

    private void JoinGroups()
    {
        using ProcDirectory self = new(Environment.ProcessId);
        int callers = ProcStat.Read(self).ProcessGroup;
        foreach ((int pid, int old) in saved.Plan.Groupings())
        {
            int group = saved.Plan.Knows(old) ? old : callers;
            _members[pid].Batch.Add($"setpgid({group})", SyscallNumber.setpgid, 0, group);
            _members[pid].Batch.Run();
        }
    }

    // Helpers go when every group has its members, and zombies become what they are.
    private void EndTheDead(FamilyBirth birth)
    {
        foreach (Member helper in _inOrder.Where(m => m.Place.IsHelper).Reverse())
        {
            birth.End(_members[helper.Place.Parent], helper.Pid);
        }

        foreach (Member member in _inOrder)
        {
            if (saved.Zombie(member.Pid) is { } zombie)
            {
                ZombieEnd.Make(tracer, member, zombie);
            }
        }
    }

    private void RestoreFiles()
    {
        using TreeFileOpening opening = saved.FileOpening;
        opening.MakeSockets();
        foreach (ProcessRestore[] some in Groups(Processes))
        {
            InStep(some, process =>
            {
                process.RestoreDirectories();
                process.MakeOwnFiles(opening);
            });
            InSteps(some, process => process.ReceiveOwnFiles(opening));
            Array.ForEach(some, process => process.FinishOwnFiles());
            InSteps(some, process => process.RestoreFiles(opening), meanwhile: opening.CloseDone);
        }

        RestoreTerminals();
        MakeInside();
        LateFiles.Open(Processes.Where(p => p.OwnsDescriptors), saved.Files);

        // In the order of the dump: what a file was saved with are numbers of the first process that had it.
        Dictionary<int, int> places = saved.Places();
        foreach (ProcessRestore[] some in Groups(Processes.OrderBy(p => places[p.Saved.Pid])))
        {
            InStep(some, process => process.SettleFiles(opening));
        }
    }

    // When all have their descriptors and groups: a group comes into the foreground, and what means "the terminal of my session" can be opened.
    private void RestoreTerminals()
    {
        foreach (Member leader in _inOrder.Where(m => m.Place.IsSessionLeader && m.Process is not null))
        {
            if (saved.Files.Opening.Terminals.Controlling(leader.Pid) is { } terminal)
            {
                using (terminal.Slave)
                {
                    leader.Process!.SetForeground(terminal.Slave, terminal.Foreground);
                }
            }
        }

        Dictionary<uint, SafeFileHandle> opened = [];
        try
        {
            foreach (ProcessRestore process in Processes.Where(p => p.OwnsDescriptors))
            {
                foreach (FdinfoEntry descriptor in process.Others)
                {
                    RestoreSessionTerminal(process, descriptor, opened);
                }
            }
        }
        finally
        {
            foreach (SafeFileHandle handle in opened.Values)
            {
                handle.Dispose();
            }
        }

        saved.Files.Opening.Terminals.Finish();
    }

    private void RestoreSessionTerminal(ProcessRestore process, FdinfoEntry descriptor, Dictionary<uint, SafeFileHandle> opened)
    {
        FileEntry entry = saved.Files[descriptor];
        if (entry.Type != FdTypes.Tty || saved.Files.Opening.Terminals.Find(entry.Tty.TtyInfoId).Type != TtyType.Ctty)
        {
            return;
        }

        if (opened.TryGetValue(descriptor.Id, out SafeFileHandle? handle))
        {
            process.Replace(handle, descriptor);
        }
        else
        {
            opened[descriptor.Id] = process.OpenSessionTerminal((int)entry.Tty.Flags, descriptor);
        }
    }

    // Files that belong to their maker's memory: that process makes them, and the others take them from it, to the places of what kept their numbers.
    private void MakeInside()
    {
        Dictionary<uint, (ProcessRestore Maker, int Fd)> made = [];
        List<(ProcessRestore Process, FdinfoEntry Descriptor)> all =
            [.. Processes.SelectMany(p => p.Saved.Descriptors.Where(d => d.Type == FdTypes.Ext).Select(d => (p, d)))];
        foreach ((ProcessRestore process, FdinfoEntry descriptor) in all)
        {
            if (!made.ContainsKey(descriptor.Id) && process.MakeInside(saved.Files, descriptor))
            {
                made.Add(descriptor.Id, (process, (int)descriptor.Fd));
            }
        }

        foreach ((ProcessRestore process, FdinfoEntry descriptor) in all.Where(a => a.Process.OwnsDescriptors))
        {
            if (!made.TryGetValue(descriptor.Id, out (ProcessRestore Maker, int Fd) from))
            {
                throw new ImageException(
                    ImageException.MalformedEntry, "criups-files", 0, $"the process that made file {descriptor.Id} does not have it");
            }

            process.TakeFrom(from.Maker, from.Fd, descriptor);
        }
    }

    private void StopTheStopped()
    {
        ILookup<int, int> known = Processes.Where(p => p.Saved.StopSignal != 0 && !p.Saved.StopIsNews)
            .ToLookup(p => (int)p.Saved.Tree.Ppid, p => p.Saved.Pid);
        foreach (ProcessRestore process in Processes.Where(p => p.Saved.StopSignal != 0))
        {
            GroupStop.Enter(tracer, process.Batches, process.Saved.StopSignal);
        }

        HashSet<int> parents = [.. _inOrder.Select(m => m.Place.Parent)];
        foreach (ProcessRestore[] some in Groups(Processes.Where(p => parents.Contains(p.Saved.Pid))))
        {
            InStep(some, parent => GroupStop.Forget(parent.Batches[0], known[parent.Saved.Pid]));
        }
    }
}
