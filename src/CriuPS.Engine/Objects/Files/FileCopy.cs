using System.Buffers;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Images;
using CriuPS.Engine.Kernel;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// Copies a part of one open file into another; positions stay. A buffer that fits into the processor's cache is faster than sendfile(2),
/// which moves a pipe of 16 pages at a time, and than mapping, which takes a fault for each page.
/// </summary>
internal static class FileCopy
{
    private const int BufferSize = 1 << 20;

    /// <summary>Copies up to a number of bytes.</summary>
    /// <param name="from">The source.</param>
    /// <param name="start">Where in it.</param>
    /// <param name="to">The target.</param>
    /// <param name="offset">Where in that.</param>
    /// <param name="length">How many bytes.</param>
    /// <param name="what">Names them for errors.</param>
    /// <param name="cancellation">Ends it between two buffers.</param>
    /// <returns>How many were copied: fewer than asked for where the source ends.</returns>
    /// <exception cref="KernelException">One of the files refuses.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static long Copy(
        SafeFileHandle from, long start, SafeFileHandle to, long offset, long length, string what, CancellationToken cancellation = default)
    {
        byte[] buffer = ArrayPool<byte>.Shared.Rent((int)Math.Min(BufferSize, length));
        try
        {
            long done = 0;
            while (done < length)
            {
                cancellation.ThrowIfCancellationRequested();
                int part = (int)Math.Min(buffer.Length, length - done);
                int read = (int)Syscall.Check(FileRead.ReadAt(from, buffer.AsSpan(0, part), start + done), () => $"read of {what} at 0x{start + done:x}");
                if (read == 0)
                {
                    break;
                }

                int errno = FileAt.TryWriteAllAt(to, buffer.AsSpan(0, read), offset + done);
                if (errno != 0)
                {
                    throw new KernelException($"write of {what}", errno) { Remedy = ImageWriter.RemedyFor(errno) };
                }

                done += read;
            }

            return done;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
