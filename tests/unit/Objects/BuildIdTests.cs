using System.Buffers.Binary;
using System.Diagnostics;
using System.Runtime.InteropServices;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Images;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects.Files;
using CriuPS.Engine.Proc;
using CriuPS.Tests.Images;
using Microsoft.Win32.SafeHandles;
using Xunit;

namespace CriuPS.Tests.Objects;

public sealed class BuildIdTests
{
    private const uint GnuBuildId = 3;

    private static readonly byte[] s_id = [1, 2, 3, 4, 5, 6, 7];

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void The_description_alone_is_kept_filled_up_to_whole_words(bool wide) =>
        Assert.Equal([0x04030201u, 0x00070605u], Read(Elf(wide, Note(5, "GNU\0"u8, [9, 9, 9, 9]), Note(GnuBuildId, "GNU\0"u8, s_id))));

    [Fact]
    public void The_id_of_a_program_is_what_the_linker_says()
    {
        using TemporaryDirectory folder = new();
        const string Id = "00112233445566778899aabbccddeeff01234567";
        File.WriteAllText(folder["a.c"], "int main(void) { return 0; }");
        using Process gcc = Process.Start("gcc", [$"-Wl,--build-id=0x{Id}", "-o", folder["a"], folder["a.c"]]);
        gcc.WaitForExit();
        Assert.Equal(0, gcc.ExitCode);

        Assert.Equal(Id, Convert.ToHexStringLower(MemoryMarshal.AsBytes<uint>(Read(File.ReadAllBytes(folder["a"])))));
    }

    [Fact]
    public void Other_notes_other_files_and_impossible_sizes_give_no_id()
    {
        Assert.Empty(Read(Elf(true, Note(5, "GNU\0"u8, s_id))));
        Assert.Empty(Read(Elf(true, Note(GnuBuildId, "GNU\0"u8, []))));
        Assert.Empty(Read(Elf(true, Note(GnuBuildId, "GNU\0"u8, new byte[516]))));
        Assert.Empty(Read("#!/bin/sh\n"u8.ToArray()));
        Assert.Empty(Read([]));
    }

    [Fact]
    public void A_cut_or_lying_file_gives_no_id_and_no_failure()
    {
        byte[] whole = Elf(true, Note(GnuBuildId, "GNU\0"u8, s_id));
        int lastByte = whole.Length - 2;
        for (int length = 0; length <= lastByte; length++)
        {
            Assert.Empty(Read(whole[..length]));
        }

        byte[] farTable = [.. whole];
        BinaryPrimitives.WriteUInt64LittleEndian(farTable.AsSpan(32), ulong.MaxValue - 8);
        Assert.Empty(Read(farTable));
        byte[] longName = [.. whole];
        BinaryPrimitives.WriteUInt32LittleEndian(longName.AsSpan(120), uint.MaxValue);
        Assert.Empty(Read(longName));
    }

    [Fact]
    public void Another_build_of_the_same_size_is_refused()
    {
        using TemporaryDirectory folder = new();
        string path = folder["program"];
        File.WriteAllBytes(path, Elf(true, Note(GnuBuildId, "GNU\0"u8, s_id)));
        Assert.True(FileStatus.TryOf(path, out FileStatus.stat status, out _));
        OpenFile file = new(Environment.ProcessId, -1, new OsText(System.Text.Encoding.UTF8.GetBytes(path)), status, 0, 0);
        FileEntry entry = RegularFile.Entry(file, 1);
        RegularFile kind = new();
        using ImageSet images = ImageSet.Open(folder.Path);
        using FileOpening opening = new(images, _ => throw new InvalidOperationException(), FileChoices.None);
        kind.Validate(entry, opening);

        File.WriteAllBytes(path, Elf(true, Note(GnuBuildId, "GNU\0"u8, [1, 2, 3, 4, 5, 6, 8])));

        using FileOpening later = new(images, _ => throw new InvalidOperationException(), FileChoices.None);
        CriuException error = Assert.Throws<CriuException>(() => kind.Validate(entry, later));
        Assert.Equal("FileChanged", error.Id);
        Assert.Contains("build id", error.Message);
        Assert.Equal(path, error.Subject);
    }

    private static uint[] Read(byte[] content)
    {
        using TemporaryDirectory folder = new();
        File.WriteAllBytes(folder["file"], content);
        using SafeFileHandle handle = File.OpenHandle(folder["file"]);
        return BuildId.Read(handle, content.Length);
    }

    // An ELF header, one segment header, and that segment with notes, up to the file's end.
    private static byte[] Elf(bool wide, params byte[][] notes)
    {
        int header = wide ? 64 : 52, segment = wide ? 56 : 32, length = notes.Sum(n => n.Length);
        byte[] file = [.. new byte[header + segment], .. notes.SelectMany(n => n)];
        "\x7f"u8.CopyTo(file);
        "ELF"u8.CopyTo(file.AsSpan(1));
        file[4] = (byte)(wide ? 2 : 1);
        file[wide ? 32 : 28] = (byte)header;
        file[wide ? 56 : 44] = 1;
        file[header] = 4;
        file[header + (wide ? 8 : 4)] = (byte)(header + segment);
        BinaryPrimitives.WriteInt32LittleEndian(file.AsSpan(header + (wide ? 32 : 16)), length);
        return file;
    }

    private static byte[] Note(uint type, ReadOnlySpan<byte> owner, ReadOnlySpan<byte> description)
    {
        byte[] note = new byte[12 + owner.Length + (description.Length + 3) / 4 * 4];
        BinaryPrimitives.WriteInt32LittleEndian(note, owner.Length);
        BinaryPrimitives.WriteInt32LittleEndian(note.AsSpan(4), description.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(note.AsSpan(8), type);
        owner.CopyTo(note.AsSpan(12));
        description.CopyTo(note.AsSpan(12 + owner.Length));
        return note;
    }
}
