namespace CriuPS.Engine.Objects.Uring;

/// <summary>What the kernel keeps of the rings behind a descriptor (struct io_ring_ctx).</summary>
internal sealed record RingState
{
    /// <summary>The descriptor.</summary>
    public required int Fd { get; init; }

    /// <summary>As in io_uring_setup(2).</summary>
    public required uint Flags { get; init; }

    public required uint SqEntries { get; init; }

    public required uint CqEntries { get; init; }

    /// <summary>Requests that were taken so far, modulo 2^32.</summary>
    public required uint SqHead { get; init; }

    /// <summary>Completions that were written so far, modulo 2^32.</summary>
    public required uint CqTail { get; init; }

    /// <summary>Memory of both rings, in bytes.</summary>
    public required int RingsLength { get; init; }

    /// <summary>Memory of the requests, in bytes.</summary>
    public required int RequestsLength { get; init; }

    /// <summary>How long the kernel's own thread looks for requests before it sleeps, milliseconds.</summary>
    public uint ThreadIdle { get; init; }

    /// <summary>The processor of that thread.</summary>
    public int ThreadProcessor { get; init; }

    /// <summary>The thread whose rings they are alone; 0 for any thread of the process.</summary>
    public int Submitter { get; init; }

    /// <summary>Whether they were made with the memory of the process that was asked about.</summary>
    public bool IsOwn { get; init; }

    /// <summary>The descriptor of the eventfd that is told of completions; null for none, -1 for one that is open nowhere.</summary>
    public int? EventFd { get; init; }

    /// <summary>Whether that is told only of completions that came later than their request.</summary>
    public bool EventAsync { get; init; }

    /// <summary>Registered files by descriptor: -1 for none, -2 for one that is open nowhere.</summary>
    public IReadOnlyList<int> Files { get; init; } = [];

    /// <summary>How many buffers are registered.</summary>
    public int Buffers { get; init; }

    /// <summary>What images have no place for; null for nothing.</summary>
    public string? Unknown { get; init; }
}
