using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects.Memory;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// An open file, or a mapping's file, of memory without a name (<see cref="SharedMemory"/>). The kernel keeps flags and position for each open file and
/// everything else in the inode. It is opened again through /proc/self/fd of the one that makes the inode.
/// </summary>
internal sealed class MemoryFile : IFileKind
{
    public FdTypes Type => FdTypes.Memfd;

    public bool Recognizes(OpenFile file) => file.Kind == FileStatus.S_IFREG && SharedMemory.Is(file);

    public (string Reason, string Remedy)? Objection(OpenFile file, TreeFiles tree) => null;

    public FileEntry Save(OpenFile file, HeldFile held, uint id, FileImages images)
    {
        FileEntry entry = Entry(file, id, images);
        entry.Memfd.Fown = FileOwner.Save(file, images.Tree);
        return entry;
    }

    /// <summary>The entry of an open file, or of a mapping's file.</summary>
    public static FileEntry Entry(OpenFile file, uint id, FileImages images) => new()
    {
        Type = FdTypes.Memfd, Id = id,
        Memfd = new MemfdFileEntry
        {
            Id = id, Flags = (uint)file.FileFlags, Pos = (ulong)file.Position, Fown = FileOwner.None(), InodeId = images.SharedMemory.Save(file),
        },
    };

    public void Validate(FileEntry entry, FileOpening opening) => opening.SharedMemory.Validate(entry.Memfd.InodeId);

    public SafeFileHandle Open(FileEntry entry, FileOpening opening) => opening.SharedMemory.Open(entry.Memfd);
}
