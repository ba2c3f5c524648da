using CriuPS.Engine.Dump;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Images;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Options;
using CriuPS.Engine.Proc;
using CriuPS.Engine.Restore;
using Xunit;

namespace CriuPS.Tests.Checkpoint;

/// <summary>The clocks of a restored tree go on from what they showed.</summary>
public sealed class TimeNamespaceTests
{
    private const long Second = 1_000_000_000, Shift = 1_000_000 * Second;

    [Fact]
    public void A_tree_that_is_restored_during_the_boot_of_its_dump_has_the_clocks_of_the_machine()
    {
        using Target target = Target.Start("vdso_time");
        Dump(target);
        Restore(target);
        Assert.Equal(Link("self"), Link($"{target.Pid}"));
        Assert.Equal("ok", target.Finish());
    }

    [Fact]
    public void A_tree_in_a_time_namespace_of_its_own_gets_one_again()
    {
        using Target target = Target.Start("vdso_time", $"SHIFT={Shift / Second}");
        for (int round = 0; round < 2; round++)
        {
            ProcTimeOffsets before = OffsetsOf(target.Pid);
            Assert.NotEqual(Link("self"), Link($"{target.Pid}"));
            Dump(target);
            Restore(target);
            Assert.NotEqual(Link("self"), Link($"{target.Pid}"));
            ProcTimeOffsets after = OffsetsOf(target.Pid);
            Assert.InRange(before.Monotonic - after.Monotonic, 0, 60 * Second);
            Assert.InRange(before.BootTime - after.BootTime, 0, 60 * Second);
        }

        Assert.Equal("ok", target.Finish());
    }

    [Fact]
    public void After_another_boot_clocks_go_on_from_what_they_showed()
    {
        using Target target = Target.Start("vdso_time");
        Dump(target);
        PretendAnotherBoot(target);
        Restore(target);
        ProcTimeOffsets offsets = OffsetsOf(target.Pid);
        Assert.InRange(offsets.Monotonic, Shift - (60 * Second), Shift);
        Assert.InRange(offsets.BootTime, (2 * Shift) - (60 * Second), 2 * Shift);
        Assert.Equal("ok", target.Finish());
    }

    [Fact]
    public void Who_has_made_a_namespace_for_its_children_is_refused()
    {
        using Target target = Target.Start("vdso_time", $"SHIFT={Shift / Second} FOR_CHILDREN=1");
        RefusedException refused = Assert.Throws<RefusedException>(() => Dump(target));
        Assert.Contains("its children would be born into it", refused.Message);
        Assert.Equal("ok", target.Finish());
    }

    private static void Dump(Target target) => new DumpOperation(new DumpOptions { Pid = target.Pid, ImagesDirectory = target.Images, Force = true }).Run();

    private static void Restore(Target target) => new RestoreOperation(new RestoreOptions { ImagesDirectory = target.Images }).Run();

    // The machine of the dump had another boot, and ran for longer.
    private static void PretendAnotherBoot(Target target)
    {
        CriupsProcessEntry process = Single<CriupsProcessEntry>(target, ImageType.CriupsProcess, (ulong)target.Pid);
        process.BootId = $"{Guid.NewGuid()}";
        Replace(target, ImageType.CriupsProcess, (ulong)target.Pid, process);
        TimensEntry clocks = Single<TimensEntry>(target, ImageType.TimeNs, 0);
        clocks.Monotonic.TvSec += (ulong)(Shift / Second);
        clocks.Boottime.TvSec += (ulong)(2 * Shift / Second);
        Replace(target, ImageType.TimeNs, 0, clocks);
    }

    private static T Single<T>(Target target, ImageType type, ulong id) where T : class, Google.Protobuf.IMessage<T>, new()
    {
        using ImageSet images = ImageSet.Open(target.Images);
        return images.ReadSingle<T>(type, id);
    }

    private static void Replace(Target target, ImageType type, ulong id, IRequiredFields entry)
    {
        string path = Path.Join(target.Images, type.FileName(id));
        File.Delete(path);
        using ImageWriter writer = ImageWriter.Create(path, type);
        writer.Write(entry);
    }

    private static string Link(string process) => new FileInfo($"/proc/{process}/ns/time").LinkTarget!;

    private static ProcTimeOffsets OffsetsOf(int pid)
    {
        using ProcDirectory proc = new(pid);
        return ProcTimeOffsets.Read(proc);
    }
}
