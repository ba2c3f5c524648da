using CriuPS.Engine.Compel;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Objects;

/// <summary>One task while it is being restored.</summary>
/// <param name="Pid">Its process.</param>
/// <param name="Tid">Its number.</param>
/// <param name="Core">Its image.</param>
/// <param name="LeaderCore">The image of its process's leader.</param>
/// <param name="Mm">The image of its process's memory.</param>
/// <param name="Batch">Takes the operations that it will run.</param>
internal sealed record TaskRestore(int Pid, int Tid, CoreEntry Core, CoreEntry LeaderCore, MmEntry Mm, RemoteBatch Batch)
{
    /// <summary>What CRIU's images cannot say of its process; null in sets that CRIU made.</summary>
    public CriupsProcessEntry? ProcessExtra { get; init; }

    /// <summary>What CRIU's images cannot say of it; null in sets that CRIU made.</summary>
    public CriupsThreadEntry? Extra { get; init; }

    /// <summary>Whether its process has other tasks.</summary>
    public bool HasThreads { get; init; }

    /// <summary>What it was born with.</summary>
    public required InheritedState Inherited { get; init; }

    /// <summary>The filters of its system calls that it installs, in their order.</summary>
    public IReadOnlyList<SeccompFilter> Filters { get; init; } = [];

    /// <summary>Whether its filters become those of all threads.</summary>
    public bool SharesFilters { get; init; }

    /// <summary>Whether its process is a 32-bit program.</summary>
    public bool IsCompat => LeaderCore.ThreadInfo.Gpregs.Mode == UserX86RegsMode.Compat;

    /// <summary>Whether it is the thread group's leader, which also stands for the process.</summary>
    public bool IsLeader => Pid == Tid;
}
