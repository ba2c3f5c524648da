namespace CriuPS.Engine.Objects.Files;

/// <summary>The descriptors of all processes that are dumped together: what is shared among them needs nobody outside.</summary>
/// <param name="files">All descriptors.</param>
internal sealed class TreeFiles(IEnumerable<OpenFile> files)
{
    /// <summary>No descriptors at all.</summary>
    public static TreeFiles None { get; } = new([]);

    private readonly ILookup<(ulong Device, ulong Inode), OpenFile> _byInode = files.ToLookup(f => (f.Status.st_dev, f.Status.st_ino));

    /// <summary>The descriptors of the same file, this one among them.</summary>
    public IEnumerable<OpenFile> OfSameFile(OpenFile file) => _byInode[(file.Status.st_dev, file.Status.st_ino)];
}
