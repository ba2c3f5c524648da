using CriuPS.Engine.Errors;
using CriuPS.Engine.Images;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects.Family;
using CriuPS.Engine.Objects.Files;
using CriuPS.Engine.Objects.Timers;

namespace CriuPS.Engine.Restore;

/// <summary>The tree of an image set, read and validated before anything is started.</summary>
internal sealed class SavedTree : IDisposable
{
    private const uint LargestPid = 1 << 22;

    // While a process is restored we hold its pages and the socket to it.
    private const int DescriptorsOfEach = 3;

    private readonly List<FamilyMember> _members = [];
    private readonly Dictionary<int, SavedProcess> _processes = [];
    private readonly Dictionary<int, SavedZombie> _zombies = [];

    private SavedTree(ImageSet images, FileChoices choices, CancellationToken cancellation)
    {
        Images = images;
        Files = new SavedFiles(images, choices, cancellation);
    }

    /// <summary>The image set it comes from.</summary>
    public ImageSet Images { get; }

    /// <summary>The open files of all processes.</summary>
    public SavedFiles Files { get; }

    /// <summary>Who gives birth to whom.</summary>
    public FamilyPlan Plan { get; private set; } = null!;

    /// <summary>How they are opened again.</summary>
    public TreeFileOpening FileOpening { get; private set; } = null!;

    public FamilyMember Root => _members[0];

    /// <summary>The living processes, parents before their children.</summary>
    public IEnumerable<SavedProcess> Processes => _processes.Values;

    public int Threads => _processes.Values.Sum(p => p.Cores.Count);

    /// <summary>Processes, those that had ended included.</summary>
    public int Count => _members.Count;

    /// <summary>The numbers of all processes and threads that will be made: each must be free.</summary>
    public IReadOnlySet<int> Numbers { get; private set; } = null!;

    /// <summary>What the clocks of the tree must begin with; null where those of this machine do.</summary>
    public TimensEntry? Clocks { get; private set; }

    /// <summary>Whether it had other clocks than its machine.</summary>
    public bool HasOwnTime { get; private set; }

    /// <summary>Reads and validates a set.</summary>
    /// <exception cref="CriuException">Something is missing, contradicts itself, or is not supported.</exception>
    public static SavedTree Load(ImageSet images, FileChoices choices, CancellationToken cancellation)
    {
        InventoryEntry inventory = images.ReadInventory();
        SavedTree tree = new(images, choices, cancellation);
        try
        {
            List<PstreeEntry> entries = [.. images.ReadAll<PstreeEntry>(ImageType.PsTree)];
            tree.ValidateNumbers(entries);
            DescriptorTable.Expect(entries.Count * DescriptorsOfEach);
            tree.Files.Opening.Numbers = new HashSet<int>(entries.SelectMany(e => e.Threads.Append(e.Pid)).Select(n => (int)n));
            foreach ((PstreeEntry entry, (CoreEntry leader, SavedProcess? process)) in entries.Zip(tree.ReadAll(entries)))
            {
                tree.Add(entry, leader, process);
            }

            tree.LookAtNamespaces(inventory);
            tree.FileOpening = new TreeFileOpening(tree.Files, tree.Tables());
            foreach (SavedProcess process in tree.Processes)
            {
                process.Validate();
            }

            tree.Files.ValidateTravellers(entries.Count == 0 ? 0 : (int)entries[0].Pid);
            tree.Files.ThrowMismatches();
            tree.Files.Opening.SharedMemory.Huge.Validate();
            tree.MakePlan();
            return tree;
        }
        catch
        {
            tree.Dispose();
            throw;
        }
    }

    /// <summary>The places of processes in the images, where parents come before their children.</summary>
    public Dictionary<int, int> Places() => _members.Select((member, place) => (member.Pid, place)).ToDictionary();

    /// <summary>A living process; null for a zombie or a helper.</summary>
    public SavedProcess? Process(int pid) => _processes.GetValueOrDefault(pid);

    /// <summary>One that had ended; null for all others.</summary>
    public SavedZombie? Zombie(int pid) => _zombies.TryGetValue(pid, out SavedZombie zombie) ? zombie : null;

    /// <summary>Whether a process has a table (of descriptors, of directories) in common with its parent.</summary>
    public bool SharesWithParent(SavedProcess process, Func<TaskKobjIdsEntry, uint> id) =>
        Process((int)process.Tree.Ppid) is { } parent && id(parent.Ids) == id(process.Ids);

    /// <summary>Whether any process has its table of descriptors in common with its parent.</summary>
    public bool HasSharedTables => _processes.Values.Any(p => SharesWithParent(p, ids => ids.FilesId));

    public void Dispose()
    {
        FileOpening?.Dispose();
        foreach (SavedProcess process in _processes.Values)
        {
            process.Dispose();
        }

        Files.Dispose();
    }

    // Processes and files, side by side.
    private (CoreEntry Leader, SavedProcess? Process)[] ReadAll(List<PstreeEntry> entries)
    {
        Task<(CoreEntry Leader, SavedProcess? Process)[]> processes = Task.Run(() =>
        {
            (CoreEntry, SavedProcess?)[] read = Workers.Map(entries, Read);
            Files.HelpToRead();
            return read;
        });
        try
        {
            Files.Read();
        }
        finally
        {
            Workers.AwaitQuietly(processes);
        }

        return processes.GetAwaiter().GetResult();
    }

    // This is most of the work, and touches nothing that processes have in common. A zombie has nothing but the image of its leader.
    private (CoreEntry Leader, SavedProcess? Process) Read(PstreeEntry entry)
    {
        CoreEntry leader = Images.ReadSingle<CoreEntry>(ImageType.Core, entry.Pid);
        bool zombie = leader.Tc?.TaskState == SavedZombie.DeadState;
        return (leader, zombie ? null : SavedProcess.Read(Images, entry, leader, Files));
    }

    private void Add(PstreeEntry entry, CoreEntry leader, SavedProcess? process)
    {
        int pid = (int)entry.Pid;
        bool isRoot = _members.Count == 0;
        if (isRoot != (entry.Ppid == 0) || !isRoot && !_processes.ContainsKey((int)entry.Ppid))
        {
            throw Broken($"process {entry.Pid} has no living parent before it");
        }

        if (process is null)
        {
            _zombies.Add(pid, SavedZombie.From(Images, pid, leader));
        }
        else
        {
            _processes.Add(pid, process);
        }

        _members.Add(new FamilyMember(pid, (int)entry.Ppid, (int)entry.Sid, (int)entry.Pgid, process is null));
    }

    private void ValidateNumbers(List<PstreeEntry> entries)
    {
        HashSet<uint> pids = [];
        foreach (PstreeEntry entry in entries)
        {
            uint[] numbers = [entry.Pid, entry.Sid, entry.Pgid, .. entry.Threads];
            if (numbers.Any(n => n > LargestPid) || entry.Pid == 0 || entry.Threads.Count(tid => tid == entry.Pid) != 1 || entry.Threads.Contains(0u))
            {
                throw Broken($"process {entry.Pid} has impossible numbers");
            }

            if (!pids.Add(entry.Pid))
            {
                throw Broken($"process {entry.Pid} is in it twice");
            }
        }
    }

    private void MakePlan()
    {
        Plan = FamilyPlan.Of(_members);
        if (Plan.Objections.Count > 0)
        {
            FamilyObjection first = Plan.Objections[0];
            throw new CriuException("FamilyNotSupported", CriuErrorKind.NotSupported, $"process {first.Pid}, {first.Subject}: {first.Reason}")
            {
                Pid = first.Pid, Subject = first.Subject, Remedy = first.Remedy,
            };
        }

        ValidateSharing();
        List<int> numbers = [.. _processes.Values.SelectMany(p => p.Cores.Select(c => c.Tid)), .. _zombies.Keys, .. Plan.Helpers.Select(h => h.Pid)];
        HashSet<int> distinct = [.. numbers];
        Numbers = distinct.Count == numbers.Count ? distinct : throw Broken("two tasks of it have the same number");
    }

    // Each once.
    private List<IReadOnlyList<FdinfoEntry>> Tables() => [.. Processes.Where(p => !SharesWithParent(p, ids => ids.FilesId)).Select(p => p.Descriptors)];

    private void LookAtNamespaces(InventoryEntry inventory)
    {
        SavedProcess root = _processes.Values.FirstOrDefault() ?? throw Broken("it names no living process");
        foreach (SavedProcess process in _processes.Values)
        {
            foreach ((string name, Func<TaskKobjIdsEntry, uint> id) in s_namespaces)
            {
                if (inventory.RootIds is { } machine && id(process.Ids) is not 0 and uint theirs && id(machine) is not 0 and uint common && theirs != common)
                {
                    throw NamespaceNotSupported(process, name, "another one than the machine's");
                }
            }

            if (process.Ids.TimeNsId != root.Ids.TimeNsId)
            {
                throw NamespaceNotSupported(process, "time", $"another one than that of process {root.Pid}");
            }
        }

        Clocks = TimeNamespace.ClocksFor(Images, inventory, root.Ids, root.Extra?.BootId, out bool own);
        HasOwnTime = own;
        Files.Opening.HasOtherClocks = Clocks is not null;
    }

    private static readonly (string Name, Func<TaskKobjIdsEntry, uint> Id)[] s_namespaces =
    [
        ("pid", i => i.PidNsId), ("net", i => i.NetNsId), ("ipc", i => i.IpcNsId), ("uts", i => i.UtsNsId), ("mnt", i => i.MntNsId), ("user", i => i.UserNsId),
        ("cgroup", i => i.CgroupNsId),
    ];

    private static CriuException NamespaceNotSupported(SavedProcess process, string name, string which) => new(
        "NamespaceNotSupported", CriuErrorKind.NotSupported, $"process {process.Pid} lived in a {name} namespace, {which}, which is not supported yet")
    {
        Pid = process.Pid, Subject = $"namespace {name}",
    };

    private void ValidateSharing()
    {
        foreach (SavedProcess process in _processes.Values.Where(p => SharesWithParent(p, ids => ids.FilesId) || SharesWithParent(p, ids => ids.FsId)))
        {
            if (!Plan.IsBornByParent(process.Pid))
            {
                throw new CriuException(
                    "SharingNotSupported", CriuErrorKind.NotSupported, $"process {process.Pid} shares tables with its parent, but cannot be born by it")
                {
                    Pid = process.Pid,
                };
            }
        }
    }

    private ImageException Broken(string reason) => new(ImageException.MalformedEntry, Path.Join(Images.Path, "pstree.img"), 0, reason);
}
