using CriuPS.Engine.Objects.Files;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Memory;

/// <summary>
/// What has to be opened for a mapping of an image. How a file was opened decides what mprotect(2) may allow later, so one file may have to be opened in
/// more than one way.
/// </summary>
/// <param name="IsArea">Whether it is shared anonymous memory, else a file.</param>
/// <param name="Id">The number of one or the other.</param>
/// <param name="Flags">How it is opened.</param>
internal readonly record struct MappedFile(bool IsArea, ulong Id, int Flags)
{
    /// <summary>Whether there is anything to open.</summary>
    public static bool Has(VmaEntry entry) => IsFile(entry) || IsSharedArea(entry);

    public static MappedFile Of(VmaEntry entry) => new(IsSharedArea(entry), entry.Shmid, MappingRestore.OpenFlags(entry));

    /// <summary>Opens what is behind a mapping.</summary>
    /// <param name="entry">The mapping.</param>
    /// <param name="file">The entry of a file.</param>
    /// <param name="opening">What files share.</param>
    public static SafeFileHandle Open(VmaEntry entry, Func<uint, FileEntry> file, FileOpening opening)
    {
        if (IsSharedArea(entry))
        {
            return opening.SharedMemory.OpenArea(entry);
        }

        return Open(file((uint)entry.Shmid), MappingRestore.OpenFlags(entry), opening);
    }

    /// <summary>Opens a file that a mapping, or the executable, has in whatever way it was open itself.</summary>
    public static SafeFileHandle Open(FileEntry saved, int flags, FileOpening opening) => saved.Type == FdTypes.Memfd
        ? opening.SharedMemory.OpenForMapping(saved.Memfd.InodeId, flags) : RegularFile.Open(saved.Reg, flags, opening);

    private static bool IsFile(VmaEntry entry) => ((VmaStatus)entry.Status & (VmaStatus.FilePrivate | VmaStatus.FileShared)) != 0;

    private static bool IsSharedArea(VmaEntry entry) => ((VmaStatus)entry.Status & VmaStatus.AnonymousShared) != 0;
}
