using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Kernel;

/// <summary>getdents64(2): the entries of a directory, a buffer full at a time.</summary>
internal static class GetDents
{
    /// <summary>Where the name starts in struct linux_dirent64: d_ino 8, d_off 8, d_reclen 2, d_type 1.</summary>
    private const int NameOffset = 19;

    /// <summary>Bytes of an entry with a name of no more than four digits: entries are multiples of eight bytes.</summary>
    public const int ShortEntry = 24;

    /// <summary>Where the entry's length is in struct linux_dirent64.</summary>
    private const int LengthOffset = 16;

    /// <summary>Reads the next entries.</summary>
    /// <returns>The number of bytes filled, 0 at the end, or minus an errno.</returns>
    public static unsafe long Read(SafeFileHandle directory, Span<byte> buffer)
    {
        using var hold = new DescriptorHold(directory);
        fixed (byte* target = buffer)
        {
            return Syscall.Invoke(SyscallNumber.getdents64, hold.Number, (long)target, buffer.Length);
        }
    }

    /// <summary>Takes the first entry off a filled buffer.</summary>
    /// <param name="entries">What is left of the buffer; moves on to the next entry.</param>
    /// <returns>The entry's name, without its zero byte.</returns>
    public static ReadOnlySpan<byte> TakeName(ref ReadOnlySpan<byte> entries)
    {
        int length = System.Buffers.Binary.BinaryPrimitives.ReadUInt16LittleEndian(entries[LengthOffset..]);
        ReadOnlySpan<byte> name = entries[NameOffset..length];
        entries = entries[length..];
        return name[..name.IndexOf((byte)0)];
    }
}
