using CriuPS.Engine.Images;
using Google.Protobuf;
using Xunit;

namespace CriuPS.Tests.Images;

public sealed class SharedParsingTests
{
    [Theory]
    [InlineData(127)]
    [InlineData(1)]
    [InlineData(128)]
    [InlineData(5000)]
    public async Task Several_threads_read_all_in_its_order(int entries)
    {
        using TemporaryDirectory directory = new();
        string path = Write(directory, entries);
        SharedParsing<FileEntry> parsing = Open(path);
        Task[] helpers = [.. Enumerable.Range(0, 3).Select(_ => Task.Run(parsing.Join))];
        IReadOnlyList<FileEntry> read = parsing.Finish();
        await Task.WhenAll(helpers);
        Assert.Equal(Enumerable.Range(0, entries).Select(i => (uint)i), read.Select(entry => entry.Id));
    }

    [Fact]
    public void An_entry_that_is_malformed_is_named_by_its_offset()
    {
        using TemporaryDirectory directory = new();
        string path = Write(directory, 1000);
        byte[] bytes = File.ReadAllBytes(path);
        int last = bytes.AsSpan().LastIndexOf(new FileEntry { Type = FdTypes.Tty, Id = 999 }.ToByteArray());
        bytes[last] = 0x0f;
        File.WriteAllBytes(path, bytes);
        ImageException e = Assert.Throws<ImageException>(() => Open(path).Finish());
        Assert.Equal(last - sizeof(uint), e.Offset);
    }

    [Fact]
    public void No_file_is_no_entries() => Assert.Empty(new SharedParsing<FileEntry>(null).Finish());

    private static SharedParsing<FileEntry> Open(string path)
    {
        using ImageReader reader = ImageReader.Open(File.OpenHandle(path), path, ImageType.Files);
        return new SharedParsing<FileEntry>(reader);
    }

    private static string Write(TemporaryDirectory directory, int entries)
    {
        string path = directory["files.img"];
        using ImageWriter writer = ImageWriter.Create(path, ImageType.Files);
        for (uint id = 0; id < entries; id++)
        {
            writer.Write(new FileEntry { Type = FdTypes.Tty, Id = id });
        }

        return path;
    }
}
