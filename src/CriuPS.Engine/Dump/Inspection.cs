using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects.Files;
using CriuPS.Engine.Objects.Memory;
using CriuPS.Engine.Objects.Sockets;
using CriuPS.Engine.Objects.Timers;
using CriuPS.Engine.Objects.Uring;
using CriuPS.Engine.Options;
using CriuPS.Engine.Proc;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Dump;

/// <summary>
/// Everything that /proc tells of one process, and every reason in it why it cannot be dumped. It touches nothing, so the same look serves
/// the preflight of a running process and the dump of a frozen one.
/// </summary>
internal sealed class Inspection
{
    private static readonly RegularFile s_named = new();

    private readonly List<Refusal> _refusals = [];
    private readonly List<Refusal> _replaced = [];
    private readonly List<Mapping> _rings = [];
    private readonly DumpOptions _options;

    private Inspection(ProcDirectory proc, ProcStat stat, DumpOptions options)
    {
        _options = options;
        Proc = proc;
        Stat = stat;
        Status = ProcStatus.Read(proc);
    }

    public ProcDirectory Proc { get; }

    public ProcStat Stat { get; }

    public ProcStatus Status { get; }

    /// <summary>The text of the link to its time namespace; null where the kernel has none, or it was not looked at.</summary>
    public OsText? TimeNamespace { get; private set; }

    public IReadOnlyList<Mapping> Mappings { get; private set; } = [];

    /// <summary>Mappings of io_uring's rings, which are none of <see cref="Mappings"/>.</summary>
    public IReadOnlyList<Mapping> Rings => _rings;

    /// <summary>Descriptors that something else takes the places of, because they cannot be saved, and why.</summary>
    public IReadOnlyList<Refusal> Replaced => _replaced;

    /// <summary>The files behind mappings, by device and inode.</summary>
    public Dictionary<(uint Major, uint Minor, ulong Inode), OpenFile> MappedFiles { get; } = [];

    public IReadOnlyList<OpenFile> Files { get; private set; } = [];

    public OpenFile? Executable { get; private set; }

    public OpenFile? WorkingDirectory { get; private set; }

    public OpenFile? Root { get; private set; }

    /// <summary>Whether there is anything to look at: neither ended nor a part of the kernel.</summary>
    private bool IsAlive => !Stat.IsZombie && Status.KernelThread != true;

    /// <summary>Every reason not to dump it.</summary>
    public IReadOnlyList<Refusal> Refusals => _refusals;

    /// <summary>Looks at a process.</summary>
    /// <param name="proc">The process.</param>
    /// <param name="options">What the dump is asked to do.</param>
    /// <param name="own">The namespaces of this process.</param>
    /// <param name="frozen">Whether our own tracer holds it.</param>
    /// <param name="files">The question about open files, where it is held; null for none.</param>
    public static Inspection Of(ProcDirectory proc, DumpOptions options, OwnNamespaces own, bool frozen, FileStructs? files = null)
    {
        Inspection inspection = new(proc, ProcStat.Read(proc), options);
        inspection.LookAtProcess(frozen);
        if (inspection.IsAlive)
        {
            inspection.LookAtNamespaces(own);
            inspection.LookAtMappings();
            inspection.LookAtFiles(files);
            inspection.LookAtFilters();
            inspection.LookAtCgroups();
        }

        return inspection;
    }

    /// <summary>Looks at what costs little to see of a process that runs on.</summary>
    /// <param name="proc">The process.</param>
    /// <param name="stat">Its stat, which was read just now.</param>
    /// <param name="options">What the dump is asked to do.</param>
    /// <param name="own">The namespaces of this process; those of the root's are most often those of the whole tree.</param>
    public static Inspection Glance(ProcDirectory proc, ProcStat stat, DumpOptions options, OwnNamespaces own)
    {
        Inspection inspection = new(proc, stat, options);
        inspection.LookAtProcess(frozen: false);
        if (inspection.IsAlive && proc.Pid == options.Pid)
        {
            inspection.LookAtNamespaces(own);
        }

        inspection.IsDoubtful = inspection.IsAlive && HasDoubtfulFile(proc);
        return inspection;
    }

    /// <summary>
    /// Whether it has, among its first descriptors, one of a kind that most often stops a dump: neither path nor pipe nor one of the kernel's unnamed files.
    /// Only a glance tells.
    /// </summary>
    public bool IsDoubtful { get; private set; }

    private static bool HasDoubtfulFile(ProcDirectory proc)
    {
        const int Glanced = 64;
        return proc.ListFirstNumbers("fd", Glanced).Any(fd => proc.TryReadLinkText("fd/", fd, out _) is { } link
            && !link.StartsWith("/"u8) && !link.StartsWith("pipe:["u8) && !link.StartsWith("anon_inode:"u8)
            && !(link.StartsWith("socket:["u8) && IsUnixSocket(proc.Pid, fd)));
    }

    private static bool IsUnixSocket(int pid, int fd)
    {
        using SafeFileHandle process = PidFd.Open(pid);
        using BorrowedDescriptor socket = PidFd.Borrow(process, fd, out int errno);
        return errno == 0 && FileStatus.Of(socket).IsSocket && SocketOption.Domain(socket) == UnixSocket.AF_UNIX;
    }

    private void LookAtProcess(bool frozen)
    {
        if (Stat.IsZombie)
        {
            Refuse("the process", "it has ended and waits for its parent", "there is nothing to dump");
        }

        if (Status.KernelThread == true || Proc.Pid is 1 or 2)
        {
            Refuse("the process", "it is the system's own", "dump a process of a program");
        }

        if (Proc.Pid == Environment.ProcessId)
        {
            Refuse("the process", "it is this very process", "dump it from another one");
        }

        if (!frozen && Status.TracerPid != 0)
        {
            Refuse("the process", $"it is traced by process {Status.TracerPid} ({NameOf(Status.TracerPid)})", "end the debugger first");
        }
    }

    private void LookAtNamespaces(OwnNamespaces own)
    {
        foreach ((string name, OsText ours) in own.Links)
        {
            if (Proc.TryReadLinkText(name, out _) is { } link && link != ours)
            {
                Refuse($"namespace {link}", "it is in another namespace than this process", "run this command inside the same namespaces");
            }
        }

        TimeNamespace = Proc.TryReadLinkText("ns/time", out _);
        if (TimeNamespace is { } time && Proc.TryReadLinkText("ns/time_for_children", out _) is { } children && children != time)
        {
            Refuse($"namespace {children}", $"its children would be born into it, while it lives in {time}", "let it begin another program");
        }
    }

    private void LookAtCgroups()
    {
        if (_options.Cgroups is not (null or CgroupMode.Ignore or CgroupMode.None) && CgroupInspection.Objection(Proc) is { } reason)
        {
            Refuse("its cgroup", $"{reason}; cgroups are not saved yet", "use --manage-cgroups=ignore, or run this command inside the same cgroup");
        }
    }

    private void LookAtMappings()
    {
        List<Mapping> mappings = [];
        foreach (SmapsEntry entry in ProcSmaps.ReadFlags(Proc))
        {
            Mapping mapping = new(entry);
            if (mapping.IsRing)
            {
                _rings.Add(mapping);
                continue;
            }

            mappings.Add(mapping);
            if ((mapping.Objection() ?? (mapping.IsAioRing ? AioRing.Objection(Proc.Pid, mapping.Vma) : null)) is { } objection)
            {
                Refuse(mapping.ToString(), objection.Reason, objection.Remedy);
            }
            else if (mapping.HasFile)
            {
                LookAtMappedFile(mapping);
            }
        }

        Mappings = mappings;
    }

    private void LookAtMappedFile(Mapping mapping)
    {
        Vma vma = mapping.Vma;
        var key = (vma.DeviceMajor, vma.DeviceMinor, vma.Inode);
        if (MappedFiles.ContainsKey(key))
        {
            return;
        }

        if (ReadLinked($"map_files/{vma.MapFileName}") is not { } file)
        {
            return;
        }

        MappedFiles[key] = file;
        Check(mapping.ToString(), file);
    }

    private void LookAtFiles(FileStructs? structs)
    {
        Files = [.. FileTable.Read(Proc, Status.DescriptorTableSize, structs).Select(file => IsServiceSocket(file) ? file with { IsServiceSocket = true } : file)];
        Executable = Named("exe", "executable");
        WorkingDirectory = Named("cwd", "working directory");
        Root = Named("root", "root directory");
    }

    /// <summary>Looks at the descriptors together with those of the other processes.</summary>
    public void CheckFiles(TreeFiles tree)
    {
        foreach (Mapping ring in Rings.Where(ring => !tree.All.Any(f => f.Status.st_ino == ring.Vma.Inode && RingFile.Is(f))))
        {
            Refuse(ring.ToString(), "it is a ring of io_uring that is open in no descriptor any more", "let the program unmap it");
        }

        foreach (OpenFile file in Files.Where(f => !tree.IsExternal(f)).Concat(tree.Queues.FilesTo(Stat.Pid).Where(f => !QueuedFile.IsOpenElsewhere(f, tree))))
        {
            if (Objection(file, tree) is { } objection)
            {
                if (_options.UnsupportedFiles != UnsupportedFiles.Fail)
                {
                    tree.Replace(file);
                    _replaced.Add(NewRefusal(file.ToString(), objection.Reason, objection.Remedy));
                    continue;
                }

                Refuse(file.ToString(), objection.Reason, $"{objection.Remedy}, or use -UnsupportedFile (--unsupported-files)");
            }

            if (FileLocks.Objection(file, _options.FileLocks) is { } locked)
            {
                Refuse(file.ToString(), locked.Reason, locked.Remedy);
            }
        }

        CheckWatchedMemory(tree);
    }

    // What is registered with a userfaultfd needs that file, whatever is chosen for files.
    private void CheckWatchedMemory(TreeFiles tree)
    {
        Mapping[] watched = [.. Mappings.Where(WatchedMemory.Is)];
        if (watched.Length == 0)
        {
            return;
        }

        foreach ((Mapping mapping, string reason, string remedy) in UserFaultFile.Objections(Proc.Pid, watched, tree))
        {
            Refuse(mapping.ToString(), reason, remedy);
        }
    }

    private (string Reason, string Remedy)? Objection(OpenFile file, TreeFiles tree) =>
        FileKinds.Find(file) is { } kind
            ? (file.Carrier is null ? null : QueuedFile.Objection(file, kind)) ?? kind.Objection(file, tree) ?? NameObjection(kind, file)
            : UnknownFile.Describe(file);

    private bool IsServiceSocket(OpenFile file) =>
        _options.ServiceSocket != 0 && file.Kind == FileStatus.S_IFSOCK && file.Status.st_ino == _options.ServiceSocket;

    private OpenFile? Named(string link, string subject)
    {
        OpenFile? file = ReadLinked(link);
        if (file is not null)
        {
            Check($"{subject} {file.Link.ToDisplayString()}", file);
        }

        return file;
    }

    private void Check(string subject, OpenFile file)
    {
        if (SharedMemory.Is(file))
        {
            return;
        }

        if (!s_named.Recognizes(file))
        {
            Refuse(subject, "it is no regular file or directory", "this kind of file is not supported here");
        }
        else if ((s_named.Objection(file, TreeFiles.None) ?? NameObjection(s_named, file)) is { } objection)
        {
            Refuse(subject, objection.Reason, objection.Remedy);
        }
    }

    private (string Reason, string Remedy)? NameObjection(IFileKind kind, OpenFile file) =>
        kind is RegularFile or NamedPipe or TunFile ? LostName.Objection(file, _options) : null;

    private OpenFile? ReadLinked(string link)
    {
        if (Proc.TryReadLinkText(link, out int errno) is not { } text)
        {
            return errno == Errno.ENOENT ? null : throw new KernelException($"readlink({Proc.Path}/{link})", errno) { Pid = Proc.Pid };
        }

        // A link may be read by the process's own user, but followed by the privileged only: what cannot be looked at must not be left out.
        return FileStatus.TryOf($"{Proc.Path}/{link}", out FileStatus.stat status, out errno)
            ? new OpenFile(Proc.Pid, -1, text, status, 0, 0) { MagicLink = $"{Proc.Path}/{link}" }
            : errno == Errno.ENOENT ? null : throw Proc.Failure("stat", link, errno);
    }

    private void LookAtFilters()
    {
        if (PosixTimers.Objection(Proc) is { } timer)
        {
            Refuse(timer.Subject, timer.Reason, timer.Remedy);
        }
    }

    /// <summary>Adds a reason not to dump it that shows in the tree only.</summary>
    public void Refuse(string subject, string reason, string remedy) =>
        _refusals.Add(NewRefusal(subject, reason, remedy));

    private Refusal NewRefusal(string subject, string reason, string remedy) => new(Proc.Pid, Stat.Comm.ToDisplayString(), subject, reason, remedy);

    private static string NameOf(int pid)
    {
        using ProcDirectory proc = new(pid);
        return ProcStat.Read(proc).Comm.ToDisplayString();
    }
}
