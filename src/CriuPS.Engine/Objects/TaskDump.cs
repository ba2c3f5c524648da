using CriuPS.Engine.Compel;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Objects;

/// <summary>One task while it is being dumped.</summary>
/// <param name="process">Its process.</param>
/// <param name="task">The stopped task.</param>
internal sealed class TaskDump(ProcessDump process, Tracee task)
{
    public ProcessDump Process => process;

    public Tracee Task => task;

    /// <summary>Whether it is the thread group's leader, which also stands for the process.</summary>
    public bool IsLeader => task.Tid == process.Pid;

    /// <summary>Its number in its own pid namespace.</summary>
    public int VirtualTid { get; set; } = task.Tid;

    /// <summary>Who it acts as.</summary>
    public required ProcCredentials Credentials { get; init; }

    /// <summary>Bytes that its questions take beyond the usual.</summary>
    public int Room => _room ??= TaskStates.InOrder.Sum(state => state.Room(this));

    private int? _room;

    /// <summary>The number of its session keyring; 0 for none of its own, null where the kernel does not tell.</summary>
    public uint? SessionKeyring { get; init; }

    /// <summary>What that image has no place for.</summary>
    public CriupsThreadEntry Extra { get; } = new();

    /// <summary>The filters of its system calls, the oldest first.</summary>
    public List<SeccompFilter> Filters { get; } = [];

    /// <summary>The image that is being filled.</summary>
    public CoreEntry Core { get; } = new() { Mtype = CoreEntry.Types.march.X8664, ThreadCore = new ThreadCoreEntry() };
}
