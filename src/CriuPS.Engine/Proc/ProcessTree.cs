using System.Text;
using CriuPS.Engine.Errors;

namespace CriuPS.Engine.Proc;

/// <summary>
/// Who is whose child, as it was when it was read. Nothing is frozen for it: processes end and are born while they are read, and one that
/// ends in between is left out.
/// </summary>
public sealed class ProcessTree
{
    private readonly Dictionary<int, ProcStat> _processes;
    private readonly Dictionary<int, List<int>> _children = [];
    private readonly DateTimeOffset _boot;

    /// <summary>Makes a tree of processes that have been read before.</summary>
    /// <param name="processes">The processes, each once.</param>
    /// <param name="boot">The moment that start times count from.</param>
    internal ProcessTree(IEnumerable<ProcStat> processes, DateTimeOffset boot)
    {
        _boot = boot;
        _processes = processes.ToDictionary(process => process.Pid);
        foreach (ProcStat process in _processes.Values.OrderBy(process => process.Pid))
        {
            ChildrenOf(process.ParentPid).Add(process.Pid);
        }
    }

    /// <summary>The pids, ascending.</summary>
    public IEnumerable<int> Pids => _processes.Keys.Order();

    /// <summary>Reads the processes that the reader's pid namespace sees; where /proc hides those of others they are not seen.</summary>
    /// <exception cref="KernelException">/proc cannot be read.</exception>
    public static ProcessTree Read()
    {
        var processes = new List<ProcStat>();
        foreach (int pid in ProcRoot.ListPids())
        {
            try
            {
                using var directory = new ProcDirectory(pid);
                processes.Add(ProcStat.Read(directory));
            }
            catch (CriuException unseen) when (unseen.Id == "ProcessGone" || unseen.Kind == CriuErrorKind.PermissionDenied)
            {
                // It has ended since it was listed, or /proc is mounted with hidepid.
            }
        }

        return new ProcessTree(processes, ProcRoot.ReadBootTime());
    }

    /// <summary>Whether the process was there.</summary>
    public bool Contains(int pid) => _processes.ContainsKey(pid);

    /// <summary>All processes, parents before their children, children by ascending pid.</summary>
    public IEnumerable<(int Pid, int Depth)> Walk()
    {
        var seen = new HashSet<int>();
        IEnumerable<int> roots = Pids.Where(pid => !_processes.ContainsKey(_processes[pid].ParentPid) || _processes[pid].ParentPid == pid);

        // A number that was given out anew between two reads can make two processes each other's ancestor; no root leads to those.
        return roots.Concat(Pids).SelectMany(root => Below(root, seen));
    }

    /// <summary>
    /// Some processes with all their descendants, parents first. Each is told once: a process asked for that is a descendant of another
    /// one appears below that.
    /// </summary>
    /// <param name="roots">Pids; those that are not there are passed over.</param>
    public IEnumerable<(int Pid, int Depth)> Walk(IReadOnlyCollection<int> roots)
    {
        var wanted = roots.ToHashSet();
        var seen = new HashSet<int>();
        IEnumerable<int> tops = roots.Where(pid => Contains(pid) && !HasAncestorIn(pid, wanted));
        return tops.Concat(roots.Where(Contains)).SelectMany(root => Below(root, seen));
    }

    /// <summary>Reads everything of one process of the tree; null if it has ended.</summary>
    /// <param name="pid">The process.</param>
    /// <param name="depth">Its depth, from <see cref="Walk()"/>.</param>
    /// <param name="detailed">Whether to read mappings and descriptors too.</param>
    /// <exception cref="CriuException"><c>MalformedProc</c>.</exception>
    public ProcessNode? Describe(int pid, int depth, bool detailed)
    {
        try
        {
            using var directory = new ProcDirectory(pid);
            ProcStat stat = ProcStat.Read(directory);
            if (stat.StartTime != _processes[pid].StartTime)
            {
                return null;
            }

            ProcessNode node = Basics(directory, stat, depth);
            return detailed ? Details(directory, node) : node;
        }
        catch (CriuException gone) when (gone.Id == "ProcessGone")
        {
            return null;
        }
    }

    /// <summary>Arguments in one line, each quoted as a shell would need it, control characters escaped.</summary>
    internal static string Line(IReadOnlyList<OsText> arguments)
    {
        var line = new StringBuilder();
        foreach (OsText argument in arguments)
        {
            string text = argument.ToDisplayString();
            bool plain = text.Length > 0 && text.AsSpan().IndexOfAny(" '\"\\$`;&|<>()*?#") < 0;
            line.Append(line.Length > 0 ? " " : "").Append(plain ? text : $"'{text.Replace("'", "'\\''", StringComparison.Ordinal)}'");
        }

        return line.ToString();
    }

    private ProcessNode Basics(ProcDirectory directory, ProcStat stat, int depth)
    {
        ProcStatus status = ProcStatus.Read(directory);
        List<OsText> arguments = NulSeparated.ReadCommandLine(directory);
        return new ProcessNode
        {
            Id = stat.Pid,
            ParentId = stat.ParentPid,
            Depth = depth,
            Name = stat.Comm.ToString(),
            CommandLine = Line(arguments),
            Arguments = [.. arguments.Select(argument => argument.ToString())],
            State = StateOf(stat.State),
            SessionId = stat.Session,
            ProcessGroupId = stat.ProcessGroup,
            Threads = stat.Threads,
            Resident = status.ResidentSize ?? 0,
            VirtualSize = (long)stat.VirtualSize,
            UserId = status.Uid.Effective,
            GroupId = status.Gid.Effective,
            StartTime = (_boot + Ticks(stat.StartTime)).LocalDateTime,
            ProcessorTime = Ticks(stat.UserTime + stat.SystemTime),
            TracerId = status.TracerPid,
        };
    }

    // What only the process's own user may read is left out for others, and the node says so.
    private static ProcessNode Details(ProcDirectory directory, ProcessNode node)
    {
        ProcessNode detailed = node with { ThreadIds = ProcTasks.List(directory) };
        if (node.State is ProcessState.Zombie or ProcessState.Dead)
        {
            return detailed with { Mappings = [], Descriptors = [] };
        }

        try
        {
            return detailed with
            {
                Executable = ProcAttributes.ReadExe(directory)?.ToString(),
                WorkingDirectory = ProcAttributes.ReadWorkingDirectory(directory)?.ToString(),
                Mappings = [.. ProcMaps.Read(directory).Select(ProcessMapping.From)],
                Descriptors = ProcessDescriptor.ReadAll(directory),
            };
        }
        catch (CriuException denied) when (denied.Kind == CriuErrorKind.PermissionDenied)
        {
            return detailed with { DetailsDenied = true };
        }
        catch (CriuException zombie) when (zombie.Id == "ProcFileMissing" && ProcStat.Read(directory).IsZombie)
        {
            return detailed with { State = ProcessState.Zombie, Mappings = [], Descriptors = [] };
        }
    }

    private IEnumerable<(int Pid, int Depth)> Below(int root, HashSet<int> seen)
    {
        var waiting = new Stack<(int Pid, int Depth)>([(root, 0)]);
        while (waiting.TryPop(out (int Pid, int Depth) next))
        {
            if (!seen.Add(next.Pid))
            {
                continue;
            }

            yield return next;
            List<int> children = _children.GetValueOrDefault(next.Pid) ?? [];
            for (int i = children.Count - 1; i >= 0; i--)
            {
                waiting.Push((children[i], next.Depth + 1));
            }
        }
    }

    private bool HasAncestorIn(int pid, HashSet<int> others)
    {
        var seen = new HashSet<int> { pid };
        int ancestor = _processes[pid].ParentPid;
        while (_processes.TryGetValue(ancestor, out ProcStat? process) && seen.Add(ancestor))
        {
            if (others.Contains(ancestor))
            {
                return true;
            }

            ancestor = process.ParentPid;
        }

        return false;
    }

    private List<int> ChildrenOf(int pid)
    {
        if (!_children.TryGetValue(pid, out List<int>? children))
        {
            _children[pid] = children = [];
        }

        return children;
    }

    private static TimeSpan Ticks(ulong ticks) => TimeSpan.FromSeconds((double)ticks / ProcRoot.ClockTicks);

    private static ProcessState StateOf(char letter) => letter switch
    {
        'R' => ProcessState.Running,
        'S' => ProcessState.Sleeping,
        'D' => ProcessState.DiskSleep,
        'T' => ProcessState.Stopped,
        't' => ProcessState.Traced,
        'Z' => ProcessState.Zombie,
        'X' => ProcessState.Dead,
        'I' => ProcessState.Idle,
        _ => ProcessState.Unknown,
    };
}
