using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Objects.Memory;
using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Objects;

/// <summary>One process while it is being dumped: what was read of it, and the images that are being filled.</summary>
internal sealed class ProcessDump
{
    public required int Pid { get; init; }

    public required ProcDirectory Proc { get; init; }

    public ProcStat Stat { get; private set; } = null!;

    public ProcStatus Status { get; private set; } = null!;

    public IReadOnlyList<Mapping> Mappings { get; private set; } = [];

    /// <summary>Takes what /proc tells, which is read while the tracer reads the tasks' registers; only these can be seen before.</summary>
    public void Take(ProcStat stat, ProcStatus status, IReadOnlyList<Mapping> mappings) => (Stat, Status, Mappings) = (stat, status, mappings);

    /// <summary>Its POSIX timers.</summary>
    public IReadOnlyList<PosixTimer> Timers => field ??= PosixTimer.Read(Proc);

    public List<TaskDump> Tasks { get; } = [];

    public TaskDump Leader => Tasks[0];

    /// <summary>Whether it is a 32-bit program.</summary>
    public bool IsCompat => Leader.Task.IsCompat;

    /// <summary>The image of its memory layout.</summary>
    public MmEntry Mm { get; } = new();

    /// <summary>What CRIU's images have no place for.</summary>
    public CriupsProcessEntry Extra { get; } = new();

    /// <summary>What CRIU's images have no place for in a mapping.</summary>
    public CriupsMappingEntry ExtraOf(Mapping mapping)
    {
        if (!_extras.TryGetValue(mapping.Vma.Start, out CriupsMappingEntry? extra))
        {
            extra = _extras[mapping.Vma.Start] = new CriupsMappingEntry { Start = mapping.Vma.Start, End = mapping.Vma.End };
        }

        return extra;
    }

    /// <summary>That of all mappings which have something.</summary>
    public IEnumerable<CriupsMappingEntry> MappingExtras => _extras.Values.OrderBy(extra => extra.Start);

    private readonly Dictionary<ulong, CriupsMappingEntry> _extras = [];

    /// <summary>Its name for people.</summary>
    public string Name => Stat.Comm.ToDisplayString();
}
