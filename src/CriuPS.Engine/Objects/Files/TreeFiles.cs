using System.Runtime.InteropServices;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Objects.Files;

/// <summary>The descriptors of all processes that are dumped together, and whom they belong to: what is shared among them needs nobody outside.</summary>
/// <param name="files">All descriptors.</param>
/// <param name="processes">All processes, those that have ended included.</param>
/// <param name="shellJob">Whether the tree may belong to a session, and a terminal, of the caller.</param>
internal sealed class TreeFiles(IReadOnlyList<OpenFile> files, IReadOnlyCollection<ProcStat> processes, bool shellJob)
{
    private const int SlaveMajor = 136, MajorShift = 8;

    private readonly ILookup<(ulong Device, ulong Inode), OpenFile> _byInode = files.ToLookup(f => (f.Status.st_dev, f.Status.st_ino));

    private readonly ILookup<int, OpenFile> _byPid = files.ToLookup(f => f.Pid);

    // Several threads look at files.
    private readonly Lazy<Dictionary<(int Pid, int Fd), OpenFile>> _byNumber = new(() => files.DistinctBy(f => (f.Pid, f.Fd)).ToDictionary(f => (f.Pid, f.Fd)));

    private readonly Dictionary<int, IReadOnlyDictionary<int, Uring.RingState>> _rings = [];

    private HashSet<int>? _masters;

    private Dictionary<(ulong Device, ulong Inode), Ends>? _ends;

    /// <summary>No descriptors at all.</summary>
    public static TreeFiles None { get; } = new([], [], shellJob: false);

    /// <summary>All processes, those that have ended included.</summary>
    public IReadOnlySet<int> Pids { get; } = processes.Select(p => p.Pid).ToHashSet();

    /// <summary>Whether a terminal whose master is outside may be that of the restore's caller.</summary>
    public bool MayUseCallersTerminal => shellJob;

    /// <summary>Where rings of io_uring are mapped.</summary>
    public IReadOnlyList<(int Pid, Memory.Mapping Mapping)> Rings { get; init; } = [];

    /// <summary>What the kernel keeps of rings behind a descriptor; asked once for all of a process.</summary>
    public Uring.RingState RingOf(OpenFile file)
    {
        if (!_rings.TryGetValue(file.Pid, out IReadOnlyDictionary<int, Uring.RingState>? states))
        {
            states = _rings[file.Pid] = Uring.KernelRings.Of(file.Pid, OfProcess(file.Pid).Where(Uring.RingFile.Is).Select(f => f.Fd));
        }

        return states[file.Fd];
    }

    /// <summary>Names of files that are left out, because whoever restores brings them along.</summary>
    public IReadOnlyCollection<string> External { get; init; } = [];

    /// <summary>Whether the other end of a pipe may be outside.</summary>
    public bool PipesMayEndOutside { get; init; }

    /// <summary>What the kernel tells of unix sockets.</summary>
    public Sockets.UnixSockets Sockets { get; init; } = new();

    /// <summary>What waits in unix sockets, where the processes stand still.</summary>
    public Sockets.SocketQueues Queues { get; init; } = Objects.Sockets.SocketQueues.None;

    /// <summary>Whether datagram sockets may be connected with sockets outside that have names.</summary>
    public bool SocketsMayEndOutside { get; init; }

    private HashSet<uint>? _sockets;

    /// <summary>Whether one of the processes has a unix socket.</summary>
    public bool HasSocket(uint inode) => (_sockets ??= [.. files.Where(Objects.Sockets.UnixSockets.Is).Select(f => (uint)f.Status.st_ino)]).Contains(inode);

    /// <summary>Whether a socket's other end is brought along by whoever restores.</summary>
    public bool IsExternalSocket(uint inode) => External.Contains($"unix[{inode}]");

    /// <summary>Whether something else stands in the places of all descriptors of a unix socket.</summary>
    public bool IsReplacedSocket(uint inode) =>
        _replaced.Count > 0 && HasSocket(inode) && files.Where(f => Objects.Sockets.UnixSockets.Is(f) && f.Status.st_ino == inode).All(IsReplaced);

    private readonly HashSet<(int Pid, int Fd)> _replaced = [];

    /// <summary>Leaves a descriptor's file out, because it cannot be saved: the restored process has nothing or another file there.</summary>
    public void Replace(OpenFile file) => _replaced.Add((file.Pid, file.Fd));

    /// <summary>Whether something else stands in the place of a descriptor's file.</summary>
    public bool IsReplaced(OpenFile file) => _replaced.Count > 0 && _replaced.Contains((file.Pid, file.Fd));

    /// <summary>Whether a file is left out.</summary>
    public bool IsExternal(OpenFile file) => External.Count > 0 && External.Contains(file.ExternalName);

    /// <summary>The descriptors of all processes.</summary>
    public IReadOnlyList<OpenFile> All => files;

    /// <summary>Whether a file without a name is open in one of the processes.</summary>
    /// <param name="device">Its device, as the kernel keeps it.</param>
    /// <param name="inode">Its number.</param>
    public bool HasDeleted(uint device, ulong inode) =>
        files.Any(f => f.IsDeleted && f.Status.st_ino == inode && GhostFile.KernelDevice(f.Status.st_dev) == device);

    /// <summary>The descriptors of a process.</summary>
    public IEnumerable<OpenFile> OfProcess(int pid) => _byPid[pid];

    /// <summary>A descriptor of a process; null where it has none of that number.</summary>
    public OpenFile? At(int pid, int fd) => _byNumber.Value.GetValueOrDefault((pid, fd));

    /// <summary>The descriptors of the same file, this one among them.</summary>
    public IEnumerable<OpenFile> OfSameFile(OpenFile file) => _byInode[(file.Status.st_dev, file.Status.st_ino)];

    /// <summary>Whether both ends of a pipe are open in the tree.</summary>
    /// <param name="pipe">A descriptor of the pipe.</param>
    public bool HasBothEnds(OpenFile pipe) =>
        (_ends ??= FindEnds()).GetValueOrDefault((pipe.Status.st_dev, pipe.Status.st_ino)) == (Ends.Reading | Ends.Writing);

    private Dictionary<(ulong Device, ulong Inode), Ends> FindEnds()
    {
        Dictionary<(ulong, ulong), Ends> ends = [];
        foreach (OpenFile file in files.Where(f => f.Kind == FileStatus.S_IFIFO))
        {
            CollectionsMarshal.GetValueRefOrAddDefault(ends, (file.Status.st_dev, file.Status.st_ino), out _) |= (file.FileFlags & Fcntl.O_ACCMODE) switch
            {
                Fcntl.O_RDONLY => Ends.Reading,
                Fcntl.O_WRONLY => Ends.Writing,
                _ => Ends.Reading | Ends.Writing,
            };
        }

        return ends;
    }

    [Flags]
    private enum Ends
    {
        None = 0,
        Reading = 1,
        Writing = 2,
    }

    /// <summary>A descriptor of the master of /dev/pts/N; null where none of the processes has one.</summary>
    public OpenFile? MasterOf(int index) => files.FirstOrDefault(f => TerminalDevice.Of(f) == new TerminalDevice(TerminalKind.Master, index));

    /// <summary>Whether one of the processes holds the master of /dev/pts/N.</summary>
    public bool HasMaster(int index) => (_masters ??= FindMasters()).Contains(index);

    /// <summary>A process, the leader if possible, whose session has a pseudoterminal as its own; null where none has.</summary>
    public ProcStat? UserOf(TerminalDevice device) =>
        device.Kind is not (TerminalKind.Master or TerminalKind.Slave)
            ? null
            : processes.Where(p => p.TerminalDevice == NumberOf(device.Index)).OrderBy(p => p.Session != p.Pid).FirstOrDefault();

    /// <summary>Whether the terminal of a process's session comes back with it.</summary>
    public bool KeepsTerminal(int pid)
    {
        ProcStat? process = processes.FirstOrDefault(p => p.Pid == pid);
        bool has = process is { TerminalDevice: not 0 };
        return has && (shellJob || (Pids.Contains(process!.Session) && (_masters ??= FindMasters()).Any(m => NumberOf(m) == process.TerminalDevice)));
    }

    // The kernel's device number, as /proc/PID/stat has it (include/linux/kdev_t.h, new_encode_dev).
    private static int NumberOf(int index) => (index & 0xff) | (SlaveMajor << MajorShift) | ((index & ~0xff) << 12);

    private HashSet<int> FindMasters() =>
        [.. files.Select(TerminalDevice.Of).Where(d => d?.Kind == TerminalKind.Master).Select(d => d!.Value.Index)];
}
