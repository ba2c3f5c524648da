namespace CriuPS.Engine.Images;

/// <summary>Which bytes follow an entry of an image without being part of its message.</summary>
public enum ImagePayload
{
    /// <summary>None: the next entry follows.</summary>
    None,

    /// <summary>What is in a pipe, <c>bytes</c> long.</summary>
    PipeData,

    /// <summary>One packet, <c>length</c> long.</summary>
    Packet,

    /// <summary>Receive queue (<c>inq_len</c>), then send queue (<c>outq_len</c>) of a TCP connection.</summary>
    TcpQueues,

    /// <summary>
    /// Content of a shared memory segment, <c>size</c> long and padded to 4 bytes; nothing when <c>in_pagemaps</c> says that it is elsewhere.
    /// </summary>
    SharedMemory,

    /// <summary><c>qnum</c> messages, each a framed <c>ipc_msg</c> and its bytes, padded to 8.</summary>
    IpcMessages,

    /// <summary><c>nsems</c> 16-bit values, padded to 8 bytes.</summary>
    Semaphores,

    /// <summary>Keys, then values of a BPF map.</summary>
    BpfMap,

    /// <summary>
    /// Content of a ghost file: the rest of the file, or after each <c>ghost_chunk_entry</c> its <c>len</c> bytes.
    /// </summary>
    GhostContent,
}

/// <summary>How an image file begins.</summary>
public enum ImageContainer
{
    /// <summary>The common magic, then the type's.</summary>
    Common,

    /// <summary>The type's magic alone: the inventory, which tells whether the others have a common magic.</summary>
    Inventory,

    /// <summary>The service magic, then the type's: files that are about a checkpoint and no part of it.</summary>
    Service,

    /// <summary>No magic and no framing: pages, archives, dumps of other tools.</summary>
    Raw,
}
