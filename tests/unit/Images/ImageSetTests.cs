using System.Runtime.Versioning;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Images;
using CriuPS.Engine.Kernel;
using Google.Protobuf;
using Microsoft.Win32.SafeHandles;
using Xunit;

namespace CriuPS.Tests.Images;

public sealed class ImageSetTests
{
    private static readonly FsEntry s_fs = new() { CwdId = 1, RootId = 2 };

    [Fact]
    public void A_set_is_a_checkpoint_only_when_it_is_completed()
    {
        using var directory = new TemporaryDirectory();
        using ImageSet set = ImageSet.Create(directory["set"]);
        set.WriteSingle(ImageType.Fs, 5, s_fs);
        Assert.False(set.HasInventory);
        set.Complete(new InventoryEntry { FdinfoPerId = true });
        Assert.True(set.HasInventory);
        using ImageSet read = ImageSet.Open(directory["set"]);
        Assert.Equal(ImageMagic.Version, read.ReadInventory().ImgVersion);
        Assert.Equal(s_fs, read.ReadSingle<FsEntry>(ImageType.Fs, 5));
        Assert.Equal(["fs-5.img", "inventory.img"], Names(directory["set"]));
    }

    [Fact]
    public void A_writer_that_writes_nothing_leaves_no_file_and_an_absent_file_has_no_entries()
    {
        using var directory = new TemporaryDirectory();
        using ImageSet set = ImageSet.Create(directory["set"]);
        using (ImageWriter writer = set.CreateWriter(ImageType.PipesData))
        {
            Assert.Equal(0, writer.Length);
        }

        Assert.Empty(Names(directory["set"]));
        Assert.Empty(set.ReadAll<PipeDataEntry>(ImageType.PipesData));
        Assert.Null(set.OpenReader(ImageType.PipesData));
        Assert.Null(set.OpenRaw(ImageType.Pages, 1));
        Assert.False(set.TryReadSingle(ImageType.Fs, 1, out FsEntry? _));
        ImageException e = Assert.Throws<ImageException>(() => set.ReadSingle<FsEntry>(ImageType.Fs, 1));
        Assert.Equal(ImageException.MissingImage, e.Id);
        Assert.EndsWith("/fs-1.img", e.FileName, StringComparison.Ordinal);
    }

    [Fact]
    public void Discarding_removes_what_was_made_and_nothing_else()
    {
        using var directory = new TemporaryDirectory();
        Directory.CreateDirectory(directory["set"]);
        File.WriteAllText(directory["set/dump.log"], "theirs");
        using (ImageSet set = ImageSet.Create(directory["set"]))
        {
            set.WriteSingle(ImageType.Fs, 5, s_fs);
            using SafeFileHandle pages = set.CreateRaw(ImageType.Pages, set.NextPagesId());
            Assert.Equal(["dump.log", "fs-5.img", "pages-1.img"], Names(directory["set"]));
        }

        Assert.Equal(["dump.log"], Names(directory["set"]));
    }

    [Fact]
    public void Discarding_removes_the_directory_only_when_it_was_made_and_is_empty()
    {
        using var directory = new TemporaryDirectory();
        using (ImageSet set = ImageSet.Create(directory["made"]))
        {
            set.WriteSingle(ImageType.Fs, 5, s_fs);
            set.Discard();
            set.Discard();
        }

        Assert.False(Directory.Exists(directory["made"]));
        using (ImageSet set = ImageSet.Create(directory["shared"]))
        {
            File.WriteAllText(directory["shared/dump.log"], "theirs");
        }

        Assert.Equal(["dump.log"], Names(directory["shared"]));
        Directory.CreateDirectory(directory["old"]);
        ImageSet.Create(directory["old"]).Dispose();
        Assert.True(Directory.Exists(directory["old"]));
    }

    [Fact]
    public void A_checkpoint_that_is_there_is_refused_and_replaced_only_on_demand()
    {
        using var directory = new TemporaryDirectory();
        using (ImageSet set = ImageSet.Create(directory["set"]))
        {
            set.WriteSingle(ImageType.Fs, 5, s_fs);
            set.Complete(new InventoryEntry());
        }

        File.WriteAllText(directory["set/dump.log"], "theirs");
        CriuException e = Assert.Throws<CriuException>(() => ImageSet.Create(directory["set"]));
        Assert.Equal(("ImageSetExists", CriuErrorKind.AlreadyExists), (e.Id, e.Kind));
        Assert.Contains("-Force", e.Remedy, StringComparison.Ordinal);
        Assert.Equal(["dump.log", "fs-5.img", "inventory.img"], Names(directory["set"]));
        using ImageSet replaced = ImageSet.Create(directory["set"], replace: true);
        replaced.WriteSingle(ImageType.Fs, 6, s_fs);
        replaced.Complete(new InventoryEntry());
        Assert.Equal(["dump.log", "fs-6.img", "inventory.img"], Names(directory["set"]));
    }

    [Fact]
    public void A_checkpoint_is_there_until_the_one_that_replaces_it_is_complete()
    {
        using var directory = new TemporaryDirectory();
        FsEntry other = new() { CwdId = 3, RootId = 4 };
        using (ImageSet old = ImageSet.Create(directory["set"]))
        {
            old.WriteSingle(ImageType.Fs, 5, s_fs);
            old.WriteSingle(ImageType.Fs, 6, s_fs);
            old.Complete(new InventoryEntry());
        }

        using (ImageSet discarded = ImageSet.Create(directory["set"], replace: true))
        {
            discarded.WriteSingle(ImageType.Fs, 5, other);
            Assert.Equal(other, discarded.ReadSingle<FsEntry>(ImageType.Fs, 5));
            Assert.False(discarded.Exists(ImageType.Fs, 6));
            using ImageSet kept = ImageSet.Open(directory["set"]);
            Assert.True(kept.HasInventory);
            Assert.Equal(s_fs, kept.ReadSingle<FsEntry>(ImageType.Fs, 5));
        }

        Assert.Equal(["fs-5.img", "fs-6.img", "inventory.img"], Names(directory["set"]));
        using (ImageSet replacing = ImageSet.Create(directory["set"], replace: true))
        {
            replacing.WriteSingle(ImageType.Fs, 5, other);
            replacing.Complete(new InventoryEntry());
            Assert.Equal(other, replacing.ReadSingle<FsEntry>(ImageType.Fs, 5));
        }

        Assert.Equal(["fs-5.img", "inventory.img"], Names(directory["set"]));
    }

    [Fact]
    public void Leftovers_of_a_killed_dump_do_not_get_into_a_new_set()
    {
        using var directory = new TemporaryDirectory();
        File.WriteAllText(directory["core-99.img"], "half");
        File.WriteAllText(directory["core-99.img.new"], "half");
        File.WriteAllText(directory["inventory.img.new"], "half");
        File.WriteAllText(directory["letter.new"], "kept: no image");
        File.WriteAllText(directory["stats-dump"], "kept: no part of a checkpoint");
        using ImageSet set = ImageSet.Create(directory.Path);
        Assert.Equal(["letter.new", "stats-dump"], Names(directory.Path));
        set.Complete(new InventoryEntry());
        Assert.Equal(["inventory.img", "letter.new", "stats-dump"], Names(directory.Path));
    }

    [Fact]
    public void Nobody_gets_us_to_write_through_a_link()
    {
        using var directory = new TemporaryDirectory();
        File.WriteAllText(directory["victim"], "precious");
        using ImageSet set = ImageSet.Create(directory["set"]);
        File.CreateSymbolicLink(directory["set/fs-5.img"], directory["victim"]);
        Assert.Equal(Errno.EEXIST, Assert.Throws<KernelException>(() => set.WriteSingle(ImageType.Fs, 5, s_fs)).Errno);
        Assert.Equal("precious", File.ReadAllText(directory["victim"]));
    }

    [Fact]
    [SupportedOSPlatform("linux")]
    public void Only_the_owner_may_read_what_is_made()
    {
        using var directory = new TemporaryDirectory();
        using ImageSet set = ImageSet.Create(directory["set"]);
        set.WriteSingle(ImageType.Fs, 5, s_fs);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(directory["set/fs-5.img"]));
        Assert.Equal((UnixFileMode)0x1c0, File.GetUnixFileMode(directory["set"]));
    }

    [Fact]
    public void A_directory_is_followed_by_its_descriptor_when_it_is_renamed()
    {
        using var directory = new TemporaryDirectory();
        Directory.CreateDirectory(directory["before"]);
        using (ImageSet set = ImageSet.Create(directory["before"]))
        {
            Directory.Move(directory["before"], directory["after"]);
            set.WriteSingle(ImageType.Fs, 5, s_fs);
            set.Complete(new InventoryEntry());
        }

        using SafeFileHandle handle = OpenDirectory(directory["after"]);
        using ImageSet read = ImageSet.Open(handle);
        Assert.Equal(["inventory.img", "fs-5.img"], read.ListFiles().Select(file => file.Name));
        Assert.Throws<CriuException>(() => ImageSet.Create(handle));
        Assert.False(handle.IsClosed);
    }

    [Fact]
    public void A_full_disk_is_an_error_that_says_so()
    {
        using var full = File.OpenHandle("/dev/full", FileMode.Open, FileAccess.Write);
        using var writer = new ImageWriter(ImageType.PipesData, "pipes-data.img", () => full);
        KernelException e = Assert.Throws<KernelException>(() => writer.WritePayload(new byte[1 << 20]));
        Assert.Equal(Errno.ENOSPC, e.Errno);
        Assert.Equal("pipes-data.img", e.Subject);
        Assert.Contains("room", e.Remedy, StringComparison.Ordinal);
        writer.Abandon();
    }

    [Fact]
    public void Entries_larger_than_the_buffer_are_written_whole_and_bytes_can_come_from_elsewhere()
    {
        using var directory = new TemporaryDirectory();
        using ImageSet set = ImageSet.Create(directory["set"]);
        var large = new TtyDataEntry { TtyId = 1, Data = ByteString.CopyFrom(new byte[300_000]) };
        using (ImageWriter writer = set.CreateWriter(ImageType.TtyData))
        {
            writer.Write(large);
            writer.Write(large);
            Assert.Equal(new FileInfo(directory["set/tty-data.img"]).Length, writer.Length);
        }

        using (ImageWriter writer = set.CreateWriter(ImageType.PipesData))
        {
            writer.Write(new PipeDataEntry { PipeId = 1, Bytes = 3 });
            RandomAccess.Write(writer.Handle(), "abc"u8, writer.Length);
            _ = RandomAccess.GetLength(writer.Handle());
        }

        Assert.Equal([large, large], set.ReadAll<TtyDataEntry>(ImageType.TtyData));
        using ImageReader reader = set.OpenReader(ImageType.PipesData)!;
        Assert.NotNull(reader.Read());
        Assert.Equal("abc"u8.ToArray(), reader.ReadPayload());
    }

    [Fact]
    public void An_unknown_version_and_a_missing_inventory_are_refused()
    {
        using var directory = new TemporaryDirectory();
        using (ImageSet set = ImageSet.Create(directory["set"]))
        {
            set.Complete(new InventoryEntry());
        }

        byte[] bytes = File.ReadAllBytes(directory["set/inventory.img"]);
        bytes[9] = 3;
        File.WriteAllBytes(directory["set/inventory.img"], bytes);
        using ImageSet read = ImageSet.Open(directory["set"]);
        Assert.Equal(ImageException.UnknownImageVersion, Assert.Throws<ImageException>(read.ReadInventory).Id);
        File.Delete(directory["set/inventory.img"]);
        Assert.Equal(ImageException.MissingImage, Assert.Throws<ImageException>(read.ReadInventory).Id);
    }

    [Fact]
    public void An_entry_that_lacks_a_required_field_is_not_written()
    {
        using var directory = new TemporaryDirectory();
        using ImageSet set = ImageSet.Create(directory["set"]);
        Assert.Throws<ArgumentException>(() => set.WriteSingle(ImageType.Fs, 5, new FsEntry { CwdId = 1 }));
        Assert.Empty(Names(directory["set"]));
    }

    [Fact]
    public void A_directory_that_cannot_be_made_is_named()
    {
        KernelException e = Assert.Throws<KernelException>(() => ImageSet.Create("/proc/self/nowhere/set"));
        Assert.Equal("/proc/self/nowhere/set", e.Subject);
        Assert.Equal(Errno.ENOENT, e.Errno);
        Assert.Equal(Errno.ENOTDIR, Assert.Throws<KernelException>(() => ImageSet.Open("/proc/version")).Errno);
    }

    [Fact]
    public void Many_threads_may_write_files_of_one_set()
    {
        using var directory = new TemporaryDirectory();
        using ImageSet set = ImageSet.Create(directory["set"]);
        Parallel.For(0, 200, i => set.WriteSingle(ImageType.Fs, (ulong)i, s_fs));
        set.Complete(new InventoryEntry());
        using ImageSet read = ImageSet.Open(directory["set"]);
        Assert.Equal(201, read.ListFiles().Count);
        Assert.All(Enumerable.Range(0, 200), i => Assert.Equal(s_fs, read.ReadSingle<FsEntry>(ImageType.Fs, (ulong)i)));
    }

    private static SafeFileHandle OpenDirectory(string path) =>
        FileAt.TryOpen(null, path, FileAt.O_RDONLY | FileAt.O_DIRECTORY, 0, out _) ?? throw new DirectoryNotFoundException(path);

    private static IEnumerable<string> Names(string directory) =>
        Directory.EnumerateFileSystemEntries(directory).Select(path => Path.GetFileName(path)!).Order(StringComparer.Ordinal);
}
