using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects.Cpu;
using CriuPS.Engine.Objects.Tasks;
using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Objects;

/// <summary>What every newborn begins with because it comes from us: where an image says the same, nothing is set. Asked once, for thousands of tasks.</summary>
internal sealed record InheritedState
{
    /// <summary>The resource limits, by their kind.</summary>
    public required IReadOnlyList<ResourceLimit> Limits { get; init; }

    /// <summary>What the scheduler knows.</summary>
    public required SchedAttr.sched_attr Scheduling { get; init; }

    /// <summary>The processors, bit n for processor n.</summary>
    public required byte[] Processors { get; init; }

    /// <summary>Class and level of input and output, as ioprio_get(2) tells them, its error too.</summary>
    public required long IoPriority { get; init; }

    /// <summary>What prctl(PR_GET_SPECULATION_CTRL) tells of each kind, its error too.</summary>
    public required IReadOnlyList<long> Speculation { get; init; }

    /// <summary>Which memory goes into a core file; null where the kernel makes none.</summary>
    public required uint? CoreDumpFilter { get; init; }

    /// <summary>How willingly the kernel ends it when memory runs out.</summary>
    public required int OomScore { get; init; }

    /// <summary>Whether somebody else has logged in for a process of the tree, as far as the kernel keeps that.</summary>
    public required bool LoginUidsDiffer { get; init; }

    /// <summary>Asks for those of the calling thread.</summary>
    /// <param name="newborn">A newborn of it.</param>
    /// <param name="logins">Who has logged in for the processes that shall be restored.</param>
    public static InheritedState Of(ProcDirectory newborn, IEnumerable<uint> logins) => new()
    {
        Limits = ProcLimits.Read(newborn), Scheduling = SchedAttr.Of(0), Processors = Affinity.Of(0), IoPriority = Tasks.IoPriority.OfCaller(),
        Speculation = SpeculationControl.OfCaller(), CoreDumpFilter = Memory.CoreDumpFilter.Read(newborn),
        OomScore = ProcAttributes.ReadOomScoreAdjustment(newborn), LoginUidsDiffer = ProcAttributes.ReadLoginUid(newborn) is { } login && logins.Any(other => other != login),
    };
}
