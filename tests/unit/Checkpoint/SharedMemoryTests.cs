using CriuPS.Engine.Dump;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Images;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Objects.Memory;
using CriuPS.Engine.Options;
using CriuPS.Engine.Restore;
using Xunit;

namespace CriuPS.Tests.Checkpoint;

/// <summary>Shared memory in images that others write, and in damaged ones.</summary>
public sealed class SharedMemoryTests
{
    [Fact]
    public void Anonymous_memory_that_images_do_not_keep_as_a_file_is_restored_too()
    {
        using Target target = Dumped("shared_anonymous");
        using (ImageSet images = ImageSet.Open(target.Images))
        {
            Dictionary<ulong, uint> inodes = images.ReadAll<MemfdInodeEntry>(ImageType.MemFdInode).ToDictionary(i => i.InodeId, i => i.Shmid);
            Dictionary<ulong, uint> pageMaps = images.ReadAll<FileEntry>(ImageType.Files).Where(f => f.Type == FdTypes.Memfd)
                .ToDictionary(f => (ulong)f.Id, f => inodes[f.Memfd.InodeId]);
            MmEntry mm = images.ReadSingle<MmEntry>(ImageType.Mm, (ulong)target.Pid);
            foreach (VmaEntry entry in mm.Vmas.Where(v => ((VmaStatus)v.Status & VmaStatus.MemFd) != 0))
            {
                const uint Anonymous = 0x20;
                (entry.Shmid, entry.Flags) = (pageMaps[entry.Shmid], entry.Flags | Anonymous);
                entry.Status = (uint)(VmaStatus.Regular | VmaStatus.AnonymousShared);
                entry.ClearFdflags();
            }

            string name = Path.Join(target.Images, ImageType.Mm.FileName((ulong)target.Pid));
            File.Delete(name);
            using ImageWriter writer = ImageWriter.Create(name, ImageType.Mm);
            writer.Write(mm);
        }

        Restore(target);
        Assert.Equal("ok", target.Finish());
    }

    [Fact]
    public void Each_object_is_saved_once()
    {
        using Target target = Dumped("memory_files");
        using ImageSet images = ImageSet.Open(target.Images);
        Assert.Equal(7, images.ReadAll<MemfdInodeEntry>(ImageType.MemFdInode).Count());
        Assert.Equal(6, images.ListFiles().Count(f => f.Type == ImageType.ShmemPageMap));
    }

    [Fact]
    public void Missing_pages_are_an_error()
    {
        using Target target = Dumped("memory_files");
        File.Delete(Directory.GetFiles(target.Images, "pagemap-shmem-*.img")[0]);
        Assert.Equal(ImageException.MissingImage, Assert.ThrowsAny<CriuException>(() => Restore(target)).Id);
    }

    [Fact]
    public void A_missing_object_is_an_error()
    {
        using Target target = Dumped("memory_files");
        File.Delete(Path.Join(target.Images, ImageType.MemFdInode.FileName()));
        Assert.Equal(ImageException.MalformedEntry, Assert.ThrowsAny<CriuException>(() => Restore(target)).Id);
    }

    private static Target Dumped(string name)
    {
        Target target = Target.Start(name);
        new DumpOperation(new DumpOptions { Pid = target.Pid, ImagesDirectory = target.Images, FinalState = FinalState.Kill }).Run();
        return target;
    }

    private static void Restore(Target target) => new RestoreOperation(new RestoreOptions { ImagesDirectory = target.Images }).Run();
}
