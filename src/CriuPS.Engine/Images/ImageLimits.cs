namespace CriuPS.Engine.Images;

/// <summary>
/// Upper bounds of every size and count that is read from an image file, so that a broken or hostile file costs an error and not all the
/// memory. The defaults are far above what a kernel lets a process have; raise one only for a checkpoint that is known to need it.
/// </summary>
public sealed record ImageLimits
{
    /// <summary>The limits that are used where none are given.</summary>
    public static ImageLimits Default { get; } = new();

    /// <summary>
    /// Bytes of one entry. The largest in practice is the address space of a process with many mappings: about 60 bytes each, 65 530 of
    /// them by default (vm.max_map_count). Default 64 MiB.
    /// </summary>
    public int EntryBytes { get; init; } = 64 << 20;

    /// <summary>Entries of one file. The most are in page maps: one for each run of pages. Default 64 Mi.</summary>
    public long Entries { get; init; } = 64L << 20;

    /// <summary>
    /// Bytes that belong to one entry and are read in one piece: the content of a pipe, a packet, a socket's queue. Default 256 MiB.
    /// (Contents of ghost files and pages are never read in one piece and have no limit but their file's length.)
    /// </summary>
    public long PayloadBytes { get; init; } = 256L << 20;

    /// <summary>Messages in one System V queue, values of one semaphore set. Default 1 Mi.</summary>
    public int PayloadItems { get; init; } = 1 << 20;

    /// <summary>Pages of one page map. Default 2^36, 256 TiB of 4 KiB pages: the whole of a 48-bit address space.</summary>
    public ulong Pages { get; init; } = 1UL << 36;

    /// <summary>Directories that are followed by <c>parent</c> links. Default 256.</summary>
    public int ParentDepth { get; init; } = 256;

    /// <summary>Files that are looked at in an image directory. Default 4 Mi.</summary>
    public int Files { get; init; } = 4 << 20;
}
