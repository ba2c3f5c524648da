using CriuPS.Engine.Compel;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
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
    public ProcCredentials Credentials { get; private set; } = new();

    /// <summary>What the kernel tells of it beyond that; null where it does not.</summary>
    public TaskStructs.Facts? Facts { get; private set; }

    /// <summary>Takes what is known when all of the tree is.</summary>
    public void Take(ProcCredentials credentials, TaskStructs.Facts? facts, uint? sessionKeyring) =>
        (Credentials, Facts, SessionKeyring) = (credentials, facts, sessionKeyring);

    /// <summary>Bytes that its questions take beyond the usual.</summary>
    public int Room => _room ??= TaskStates.InOrder.Sum(state => state.Room(this));

    private int? _room;

    /// <summary>The number of its session keyring; 0 for none of its own, null where the kernel does not tell.</summary>
    public uint? SessionKeyring { get; private set; }

    /// <summary>What that image has no place for.</summary>
    public CriupsThreadEntry Extra { get; } = new();

    /// <summary>The filters of its system calls, the oldest first.</summary>
    public List<SeccompFilter> Filters { get; } = [];

    /// <summary>The image that is being filled.</summary>
    public CoreEntry Core { get; } = new() { Mtype = CoreEntry.Types.march.X8664, ThreadCore = new ThreadCoreEntry() };
}
