using CriuPS.Engine.Errors;
using CriuPS.Engine.Images;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects.Files;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Memory;

/// <summary>
/// The pages of a piece of shared memory. The kernel tells which exist, in memory or in swap, by lseek(2) with SEEK_DATA and SEEK_HOLE (mm/shmem.c,
/// since Linux 3.1). They are written to the new object by pwrite(2), which makes a page without a fault and without clearing it first; what
/// was a hole stays one. Images have a page map of the object's own, whose addresses are offsets in it.
/// </summary>
internal static class SharedPages
{
    /// <summary>Saves all pages of an object.</summary>
    /// <param name="set">The image set.</param>
    /// <param name="id">The number of the page map.</param>
    /// <param name="file">The object, open for reading, with a position of its own.</param>
    /// <param name="status">Its size and device.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <returns>How many pages there were.</returns>
    public static long Save(ImageSet set, uint id, SafeFileHandle file, FileStatus.stat status, CancellationToken cancellation)
    {
        uint pagesId = set.NextPagesId();
        using SafeFileHandle pages = set.CreateRaw(ImageType.Pages, pagesId);
        using PageMapWriter map = new(set, ImageType.ShmemPageMap, id, pagesId);
        foreach ((long start, long end) in HugePages.SizeOf(status.st_dev) != 0 ? HugePages.Ranges(file, status) : DataRanges.Of(file, status.st_size))
        {
            // Ranges end at a page's border, but for the last one of a file that does not.
            long offset = map.PresentBytes;
            map.Add((ulong)start, (ulong)(end - start + Kernel.Memory.PageSize - 1) / Kernel.Memory.PageSize, PageFlags.Present);
            FileCopy.Copy(file, start, pages, offset, end - start, "shared memory", cancellation);
            if (end % Kernel.Memory.PageSize != 0)
            {
                SaveRest(file, end, pages, offset + (end - start));
            }
        }

        return (long)map.Pages;
    }

    // A file that ends inside of a page has a whole page in the images: mappings see all of it, and keep what they put behind the end.
    private static void SaveRest(SafeFileHandle file, long end, SafeFileHandle pages, long offset)
    {
        byte[] rest = new byte[Kernel.Memory.PageSize - end % Kernel.Memory.PageSize];
        Kernel.Memory.ReadMapped(file, end, rest);
        if (FileAt.TryWriteAllAt(pages, rest, offset) is not 0 and int errno)
        {
            throw new KernelException("write of shared memory", errno) { Remedy = ImageWriter.RemedyFor(errno) };
        }
    }

    private static void RestoreRest(SafeFileHandle pages, long offset, SafeFileHandle file, long end)
    {
        byte[] rest = new byte[Kernel.Memory.PageSize - end % Kernel.Memory.PageSize];
        if (RandomAccess.Read(pages, rest, offset) == rest.Length && rest.AsSpan().ContainsAnyExcept((byte)0))
        {
            Kernel.Memory.WriteMapped(file, end, rest);
        }
    }

    /// <summary>Fills a new object of the right size.</summary>
    /// <param name="set">The image set.</param>
    /// <param name="id">The number of the page map.</param>
    /// <param name="file">The object, open for writing.</param>
    /// <param name="size">Its size in bytes.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <returns>How many pages there were.</returns>
    public static long Restore(ImageSet set, uint id, SafeFileHandle file, long size, CancellationToken cancellation)
    {
        long hugeSize = HugePages.SizeOf(FileStatus.Of(file).st_dev);
        using PageMapChain? chain = Open(set, id, size);
        long count = 0;
        foreach (IGrouping<int, PageExtent> level in (chain?.Extents ?? []).Where(e => e.Offset >= 0).GroupBy(e => e.Level))
        {
            using SafeFileHandle pages = chain!.OpenPages(level.Key)
                ?? throw new ImageException(ImageException.MissingImage, "pages", 0, "the pages file is missing");
            foreach (PageExtent extent in level.Where(e => e.Address < (ulong)size))
            {
                long length = Math.Min((long)extent.End, size) - (long)extent.Address;
                count += (long)extent.Pages;
                if (hugeSize != 0)
                {
                    cancellation.ThrowIfCancellationRequested();
                    HugePages.Fill(file, hugeSize, (long)extent.Address, length, pages, extent.Offset);
                    continue;
                }

                if (FileCopy.Copy(pages, extent.Offset, file, (long)extent.Address, length, "shared memory", cancellation) != length)
                {
                    throw new ImageException(ImageException.TruncatedImage, "pages", extent.Offset, "the pages file ends too early");
                }

                if ((ulong)size < extent.End && size % Kernel.Memory.PageSize != 0)
                {
                    RestoreRest(pages, extent.Offset + length, file, size);
                }
            }
        }

        return count;
    }

    /// <summary>Reads the page map of an object and checks that all bytes are there; null for an object that is empty.</summary>
    public static PageMapChain? Open(ImageSet set, uint id, long size) =>
        PageMapChain.Open(set, ImageType.ShmemPageMap, id) ?? (size == 0 ? null : throw new ImageException(
            ImageException.MissingImage, set.FullName(ImageType.ShmemPageMap.FileName(id)), 0, "there is no such file, but shared memory needs it"));
}
