using CriuPS.Engine.Dump;
using CriuPS.Engine.Images;
using CriuPS.Engine.Options;
using Xunit;

namespace CriuPS.Tests.Checkpoint;

/// <summary>What CRIU demands of an image set beyond its format.</summary>
public sealed class ForeignReaderTests
{
    [Fact]
    public void A_process_shares_nothing_but_namespaces_with_the_one_that_dumped_it()
    {
        using Target target = Target.Start("guards");
        new DumpOperation(new DumpOptions { Pid = target.Pid, ImagesDirectory = target.Images, FinalState = FinalState.Run }).Run();

        using ImageSet images = ImageSet.Open(target.Images);
        TaskKobjIdsEntry root = images.ReadInventory().RootIds;
        TaskKobjIdsEntry own = images.ReadSingle<TaskKobjIdsEntry>(ImageType.Ids, (ulong)target.Pid);
        Assert.NotEqual(root.VmId, own.VmId);
        Assert.NotEqual(root.FilesId, own.FilesId);
        Assert.NotEqual(root.FsId, own.FsId);
        Assert.NotEqual(root.SighandId, own.SighandId);
        Assert.Equal(
            (root.PidNsId, root.NetNsId, root.IpcNsId, root.UtsNsId, root.MntNsId, root.UserNsId, root.CgroupNsId, root.TimeNsId),
            (own.PidNsId, own.NetNsId, own.IpcNsId, own.UtsNsId, own.MntNsId, own.UserNsId, own.CgroupNsId, own.TimeNsId));
        Assert.Equal("ok", target.Finish());
    }
}
