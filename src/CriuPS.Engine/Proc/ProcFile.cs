using System.Buffers;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Proc;

/// <summary>Reads files that tell no length: to the end, into a buffer that is borrowed and grows.</summary>
internal static class ProcFile
{
    private const int FirstBuffer = 16 * 1024;

    /// <summary>Reads a file to its end and parses it.</summary>
    /// <param name="file">The file, at its start.</param>
    /// <param name="source">Its name, for the parser.</param>
    /// <param name="parser">Turns the text into a record.</param>
    /// <param name="atOnce">Whether one read gives all that fits: the file has one record (fs/seq_file.c, single_open).</param>
    /// <param name="errno">Zero, or why read(2) failed; then there is no record.</param>
    public static T Parse<T>(in BorrowedDescriptor file, ProcSource source, ProcParser<T> parser, bool atOnce, out int errno)
    {
        byte[] buffer = ArrayPool<byte>.Shared.Rent(FirstBuffer);
        try
        {
            int length = 0;
            for (long result; (result = FileRead.Read(file, buffer.AsSpan(length))) != 0;)
            {
                if (Syscall.IsError(result))
                {
                    errno = (int)-result;
                    return default!;
                }

                length += (int)result;
                if (atOnce && length < buffer.Length)
                {
                    break;
                }

                Grow(ref buffer, length);
            }

            errno = 0;
            return parser(buffer.AsSpan(0, length), source);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>The entries of a directory, <c>.</c> and <c>..</c> left out, in the kernel's order.</summary>
    /// <param name="file">The directory, at its start.</param>
    /// <param name="source">Its name, for the parser.</param>
    /// <param name="parser">Turns a name into an entry.</param>
    /// <param name="failure">Makes the exception for an errno of getdents64(2).</param>
    public static List<T> List<T>(SafeFileHandle file, ProcSource source, ProcParser<T> parser, Func<int, CriuException> failure)
    {
        var entries = new List<T>();
        byte[] buffer = ArrayPool<byte>.Shared.Rent(FirstBuffer);
        try
        {
            for (long length; (length = GetDents.Read(file, buffer)) != 0;)
            {
                if (Syscall.IsError(length))
                {
                    throw failure((int)-length);
                }

                AddNames(buffer.AsSpan(0, (int)length), entries, parser, source);
            }

            return entries;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static void Grow(ref byte[] buffer, int length)
    {
        if (length < buffer.Length)
        {
            return;
        }

        byte[] larger = ArrayPool<byte>.Shared.Rent(checked(buffer.Length * 2));
        buffer.AsSpan(0, length).CopyTo(larger);
        ArrayPool<byte>.Shared.Return(buffer);
        buffer = larger;
    }

    public static void AddNames<T>(ReadOnlySpan<byte> block, List<T> entries, ProcParser<T> parser, ProcSource source)
    {
        while (!block.IsEmpty)
        {
            ReadOnlySpan<byte> name = GetDents.TakeName(ref block);
            if (!name.SequenceEqual("."u8) && !name.SequenceEqual(".."u8))
            {
                entries.Add(parser(name, source));
            }
        }
    }
}
