using CriuPS.Engine.Objects.Credentials;
using CriuPS.Engine.Objects.Cpu;
using CriuPS.Engine.Objects.Limits;
using CriuPS.Engine.Objects.Memory;
using CriuPS.Engine.Objects.Signals;
using CriuPS.Engine.Objects.Tasks;
using CriuPS.Engine.Objects.Timers;

namespace CriuPS.Engine.Objects;

/// <summary>
/// The registry of task states, in the order of their restore. What needs privileges comes before the credentials, what credentials
/// reset (parent death signal, dumpable) comes after them, timers start last.
/// </summary>
internal static class TaskStates
{
    public static IReadOnlyList<ITaskState> InOrder { get; } =
    [
        new Personality(),
        new ChildSubreaper(),
        new MembarrierRegistration(),
        new MemoryLayout(),
        new TransparentHugePages(),
        new MemoryMerging(),
        new CoreDumpFilter(),
        new FutureLocks(),
        new MemoryPolicy(),
        new MappingPolicies(),
        new SignalActions(),
        new TaskName(),
        new ClearTidAddress(),
        new RobustFutexList(),
        new RestartableSequence(),
        new AlternateStack(),
        new Scheduling(),
        new SchedulingAttributes(),
        new ProcessorAffinity(),
        new IoPriority(),
        new TimerSlack(),
        new MachineCheckPolicy(),
        new SpeculationControl(),
        new InstructionAccess(),
        new Autogroup(),
        new OomScore(),
        new LoginUid(),
        new ResourceLimits(),
        new PosixTimers(),
        new PendingSignals(),
        new SeccompFilters(),
        new TaskCredentials(),
        new Keyrings(),
        new ParentDeathSignal(),
        new Dumpable(),
        new MemoryDenyWriteExecute(),
        new IntervalTimers(),
        new PosixTimerStart(),
    ];
}
