using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects.Memory;
using CriuPS.Engine.Options;
using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Objects.Files;

/// <summary>How it stands with the name by which a file was opened.</summary>
internal enum NameState
{
    /// <summary>It leads to the file.</summary>
    Good,

    /// <summary>The file has no name at all any more.</summary>
    Deleted,

    /// <summary>The file has lost this name, but has others that nobody tells.</summary>
    Unlinked,

    /// <summary>The name leads to another file, although nobody removed it: something is mounted over it.</summary>
    Covered,
}

/// <summary>
/// A file that its own path does not lead to. The kernel keeps the last name and writes <c> (deleted)</c> behind it in /proc; the link count of
/// stat(2) tells whether there are other names. A deleted file travels in the images (<see cref="GhostFile"/>); one with other names gets a
/// name for the time between (<see cref="RemapImages"/>).
/// </summary>
internal static class LostName
{
    private const int BlockSize = 512;

    /// <summary>Whether the kernel's text leaves it open that the name is lost; without a system call.</summary>
    public static bool MayBe(OpenFile file) => file.IsDeleted || DeletedMark.IsBehind(file.Link.Bytes);

    /// <summary>Where the name led when it was looked at first.</summary>
    public static NameState Of(OpenFile file) => file.Name ??= Look(file);

    /// <summary>Looks where the name leads.</summary>
    public static NameState Look(OpenFile file)
    {
        if (ProcfsFile.IsIn(file.Link.Bytes))
        {
            // It has its own way to look where that leads.
            return NameState.Good;
        }

        if (file.IsDeleted)
        {
            return NameState.Deleted;
        }

        bool found = FileStatus.TryOf(file.Link.Bytes, out FileStatus.stat named, out int errno, followLinks: file.Kind != FileStatus.S_IFLNK);
        return found && named.st_ino == file.Status.st_ino && named.st_dev == file.Status.st_dev ? NameState.Good
            : !found && errno == Errno.ENOENT && DeletedMark.IsBehind(file.Link.Bytes) && file.Kind != FileStatus.S_IFDIR ? NameState.Unlinked
            : NameState.Covered;
    }

    /// <summary>The name without what the kernel has added to it.</summary>
    public static ReadOnlySpan<byte> NameOf(OpenFile file)
    {
        ReadOnlySpan<byte> name = file.Link.Bytes;
        if (ProcfsFile.IsIn(name))
        {
            return ProcfsFile.PathOf(file);
        }

        return DeletedMark.IsBehind(name) && Of(file) is NameState.Deleted or NameState.Unlinked ? DeletedMark.CutFrom(name) : name;
    }

    /// <summary>Why a file cannot be dumped because of its name, and what would help; null where it can.</summary>
    public static (string Reason, string Remedy)? Objection(OpenFile file, DumpOptions options)
    {
        NameState state = Of(file);
        long bytes = file.Status.st_blocks * BlockSize;
        if (state is NameState.Good or NameState.Covered)
        {
            return state == NameState.Good ? null : ("its path now leads to another file", "give the file its name back");
        }

        if (SharedMemory.IsOnKernelMount(file.Status) || !IsPortable(file) || HugePages.IsOnMount(file))
        {
            return ("a deleted file of this kind is not supported", "close it before the dump");
        }

        if (state == NameState.Unlinked && !options.LinkRemap)
        {
            return ("its name has been removed, but it has others", "use -LinkRemap to let it have another name until the restore");
        }

        return file.Kind == FileStatus.S_IFREG && bytes > options.GhostLimit && !MayLink(file, options)
            ? ($"the file has been deleted and has {bytes} bytes, more than the limit of {options.GhostLimit}", "use -GhostLimit to save larger files")
            : null;
    }

    /// <summary>Whether a file gets another name. A program that runs on would keep it for ever: there its content is saved instead.</summary>
    public static bool MayLink(OpenFile file, DumpOptions options) =>
        options.LinkRemap && options.FinalState != FinalState.Run && Of(file) == NameState.Unlinked;

    private static bool IsPortable(OpenFile file) => file.Kind != FileStatus.S_IFSOCK;
}
