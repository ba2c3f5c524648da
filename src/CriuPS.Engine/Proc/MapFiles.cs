using CriuPS.Engine.Kernel;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Proc;

/// <summary>/proc/PID/map_files: a link to the file behind each mapping, removed files and memfds too (proc_pid_map_files(5)).</summary>
public static class MapFiles
{
    /// <summary>Reads the path of a mapping's file as the kernel keeps it, nothing escaped.</summary>
    /// <inheritdoc cref="ProcDirectory.ReadLinkText"/>
    public static OsText ReadPath(ProcDirectory directory, Vma vma) => directory.ReadLinkText($"map_files/{vma.MapFileName}");

    /// <summary>As <see cref="ReadPath"/>; null for a mapping without a file, or without the privilege to ask.</summary>
    /// <exception cref="Errors.CriuException"><c>ProcessGone</c>.</exception>
    public static OsText? TryReadPath(ProcDirectory directory, Vma vma) => directory.TryReadLinkText($"map_files/{vma.MapFileName}", out _);

    /// <summary>Opens the very file behind a mapping (needs CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN).</summary>
    /// <param name="directory">The process.</param>
    /// <param name="vma">One of its mappings.</param>
    /// <param name="flags">Access mode and O_* flags; O_PATH is enough for fstat(2).</param>
    /// <inheritdoc cref="ProcDirectory.Open"/>
    public static SafeFileHandle Open(ProcDirectory directory, Vma vma, int flags = OpenAt.O_RDONLY) =>
        directory.Open($"map_files/{vma.MapFileName}", flags);
}
