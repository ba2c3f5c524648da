using System.Runtime.InteropServices;
using CriuPS.Engine.Compel;
using CriuPS.Engine.Images;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Objects.Memory;

/// <summary>
/// Brings saved pages back: the kernel makes the pages in bulk (MADV_POPULATE_WRITE, since Linux 5.14), then preadv(2) of the process itself
/// fills them from the pages file. One fault for each page would be ten times as slow.
/// </summary>
internal static class PageRestore
{
    private const int VectorsPerCall = 512;
    private const ulong BytesPerCall = 1UL << 30;

    /// <summary>Adds the operations that read pages.</summary>
    /// <param name="batch">The process.</param>
    /// <param name="extents">What to read, of one pages file, ascending in the file.</param>
    /// <param name="file">The pages file in the process.</param>
    public static void Read(RemoteBatch batch, IReadOnlyList<PageExtent> extents, RemoteDescriptor file)
    {
        for (int next = 0; next < extents.Count;)
        {
            int count = Count(extents, next);
            ulong[] vector = new ulong[2 * count];
            SyscallProgram program = batch.Room(count + 2, 16 * count + 64);
            ulong bytes = 0;
            for (int i = 0; i < count; i++)
            {
                PageExtent extent = extents[next + i];
                ulong length = extent.End - extent.Address;
                (vector[2 * i], vector[2 * i + 1]) = (extent.Address, length);
                bytes += length;
                program.Add(extent, SyscallNumber.madvise, extent.Address, length, Kernel.Memory.MADV_POPULATE_WRITE);
            }

            ulong address = program.Put(MemoryMarshal.AsBytes(vector.AsSpan()));
            Operation read = program.Add("preadv of memory pages", SyscallNumber.preadv, file, address, count, extents[next].Offset, 0);
            long offset = extents[next].Offset;
            batch.Then(answers => Check(answers.Result(read), bytes, offset));
            next += count;
        }
    }

    private static void Check(long read, ulong wanted, long offset)
    {
        if ((ulong)read != wanted)
        {
            throw new ImageException(ImageException.TruncatedImage, "pages", offset, "the pages file ends too early");
        }
    }

    private static int Count(IReadOnlyList<PageExtent> extents, int first)
    {
        ulong bytes = 0;
        int count = 0;
        while (first + count < extents.Count && count < VectorsPerCall)
        {
            PageExtent extent = extents[first + count];
            ulong length = extent.End - extent.Address;
            bool follows = count == 0 || extents[first].Offset + (long)bytes == extent.Offset;
            if (!follows || (count > 0 && bytes + length > BytesPerCall))
            {
                break;
            }

            bytes += length;
            count++;
        }

        return count;
    }
}
