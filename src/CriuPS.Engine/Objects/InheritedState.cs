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

    /// <summary>Asks for those of the calling thread.</summary>
    /// <param name="newborn">A newborn of it.</param>
    public static InheritedState Of(ProcDirectory newborn) => new()
    {
        Limits = ProcLimits.Read(newborn), Scheduling = SchedAttr.Of(0), Processors = Affinity.Of(0), IoPriority = Tasks.IoPriority.OfCaller(),
        Speculation = SpeculationControl.OfCaller(),
    };
}
