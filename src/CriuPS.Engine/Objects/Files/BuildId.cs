using System.Buffers.Binary;
using System.Runtime.InteropServices;
using CriuPS.Engine.Kernel;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// The build id of an ELF file (elf(5), note NT_GNU_BUILD_ID): a hash that the linker put into it, which tells two builds of one program apart even when
/// they have the same size. Images keep the note's description alone, without header and owner, as 32-bit words in the machine's byte order, the last one
/// filled up with zeros. It is looked for in the first MiB of a file only, in the first note segment that holds a note of this type, whoever
/// owns the note: others compare what we save with what they find, so both must find the same.
/// </summary>
internal static class BuildId
{
    /// <summary>How much of a file is looked at, bytes.</summary>
    public const int Window = 1 << 20;

    /// <summary>Bytes of the smallest file that can have one: those of Elf32_Ehdr.</summary>
    public const int SmallestFile = 52;

    private const int LongestId = 512, NoteHeaderSize = 12, LongestHeader = 64;
    private const uint PT_NOTE = 4, NT_GNU_BUILD_ID = 3;

    /// <summary>Where the fields are that are needed, in bytes from the start of Elf32_Ehdr or Elf64_Ehdr and of Elf32_Phdr or Elf64_Phdr.</summary>
    private readonly record struct Layout(int HeaderSize, int TableOffset, int TableCount, int SegmentSize, int SegmentOffset, int SegmentLength, bool Wide)
    {
        private static readonly Layout s_elf32 = new(52, 28, 44, 32, 4, 16, false);
        private static readonly Layout s_elf64 = new(64, 32, 56, 56, 8, 32, true);

        /// <summary>The layout that EI_CLASS names; null for none.</summary>
        public static Layout? Of(byte elfClass) => elfClass switch { 1 => s_elf32, 2 => s_elf64, _ => null };

        public ulong Word(ReadOnlySpan<byte> bytes) => Wide ? BinaryPrimitives.ReadUInt64LittleEndian(bytes) : BinaryPrimitives.ReadUInt32LittleEndian(bytes);
    }

    /// <summary>The build id as images keep it; empty for a file that has none or is no ELF file.</summary>
    /// <param name="file">A regular file, open for reading; its position stays.</param>
    /// <param name="size">Its size in bytes.</param>
    public static uint[] Read(SafeFileHandle file, long size)
    {
        ulong end = (ulong)Math.Min(size, Window);
        Span<byte> header = stackalloc byte[LongestHeader];
        if (!TryRead(file, 0, header[..5], end) || !header.StartsWith("\x7f"u8) || !header[1..].StartsWith("ELF"u8) || Layout.Of(header[4]) is not { } layout
            || !TryRead(file, 0, header[..layout.HeaderSize], end))
        {
            return [];
        }

        ulong table = layout.Word(header[layout.TableOffset..]);
        int count = BinaryPrimitives.ReadUInt16LittleEndian(header[layout.TableCount..]);
        Span<byte> segment = header[..layout.SegmentSize];
        for (int i = 0; i < count && table != 0 && TryRead(file, table + (ulong)(i * layout.SegmentSize), segment, end); i++)
        {
            ulong start = layout.Word(segment[layout.SegmentOffset..]);
            if (BinaryPrimitives.ReadUInt32LittleEndian(segment) == PT_NOTE && start != 0
                && FindNote(file, start, layout.Word(segment[layout.SegmentLength..]), end) is { } id)
            {
                return id;
            }
        }

        return [];
    }

    // Null where the segment has no such note; empty where it has one that is no id. A note that begins where the segment ends counts as
    // well: linkers lay note segments end to end.
    private static uint[]? FindNote(SafeFileHandle file, ulong start, ulong length, ulong end)
    {
        Span<byte> note = stackalloc byte[NoteHeaderSize];
        ulong last = length > end ? end : Math.Min(start + length, end);
        for (ulong at = start; at <= last && TryRead(file, at, note, end);)
        {
            uint nameSize = BinaryPrimitives.ReadUInt32LittleEndian(note), size = BinaryPrimitives.ReadUInt32LittleEndian(note[4..]);
            ulong description = at + NoteHeaderSize + Aligned(nameSize);
            if (BinaryPrimitives.ReadUInt32LittleEndian(note[8..]) == NT_GNU_BUILD_ID)
            {
                return Description(file, description, size, end);
            }

            at = description + Aligned(size);
        }

        return null;
    }

    private static uint[] Description(SafeFileHandle file, ulong offset, uint size, ulong end)
    {
        if (size is 0 or > LongestId)
        {
            return [];
        }

        uint[] words = new uint[(int)Aligned(size) / sizeof(uint)];
        return TryRead(file, offset, MemoryMarshal.AsBytes(words.AsSpan())[..(int)size], end) ? words : [];
    }

    private static ulong Aligned(uint size) => ((ulong)size + 3) & ~3UL;

    // A file that becomes shorter while it is read has no build id to be sure of.
    private static bool TryRead(SafeFileHandle file, ulong offset, Span<byte> target, ulong end) =>
        offset <= end && (ulong)target.Length <= end - offset && FileRead.ReadAt(file, target, (long)offset) == target.Length;
}
