using CriuPS.Engine.Kernel;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Files;

/// <summary>Where a file has content, by lseek(2) with SEEK_DATA and SEEK_HOLE (since Linux 3.1); what lies between are holes.</summary>
internal static class DataRanges
{
    /// <summary>The ranges by ascending offset. A file system that does not know holes has one range.</summary>
    /// <param name="file">Open for reading; its position moves.</param>
    /// <param name="size">The file's size in bytes; no range goes beyond it.</param>
    /// <exception cref="Errors.KernelException">The file refuses.</exception>
    public static IEnumerable<(long Start, long End)> Of(SafeFileHandle file, long size)
    {
        for (long at = 0; at < size;)
        {
            long data = Fcntl.TrySeek(file, at, Fcntl.SEEK_DATA);
            if (data == -Errno.ENXIO)
            {
                yield break;
            }

            data = data == -Errno.EINVAL ? at : Syscall.Check(data, "lseek(SEEK_DATA)");
            long hole = Fcntl.TrySeek(file, data, Fcntl.SEEK_HOLE);
            at = Math.Min(hole == -Errno.EINVAL ? size : Syscall.Check(hole, "lseek(SEEK_HOLE)"), size);
            yield return (data, at);
        }
    }
}
