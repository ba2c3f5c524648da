using CriuPS.Engine.Dump;
using CriuPS.Engine.Options;
using CriuPS.Engine.Restore;
using Xunit;

namespace CriuPS.Tests.Checkpoint;

/// <summary>
/// Random descriptors of processes that share them (tests/targets/zoo.c), frozen, saved, ended and brought back. CRIUPS_ZOO_SEEDS=FIRST-LAST tries other seeds
/// than the usual ones.
/// </summary>
public sealed class ZooTests
{
    public static TheoryData<int> AllSeeds() => Seeds.Of("CRIUPS_ZOO_SEEDS");

    [Theory]
    [MemberData(nameof(AllSeeds))]
    public void Random_descriptors_do_not_notice_their_checkpoint(int seed)
    {
        using Target target = Target.Start("zoo", $"SEED={seed}");
        for (int round = 0; round < 2; round++)
        {
            new DumpOperation(new DumpOptions { Pid = target.Pid, ImagesDirectory = target.Images, Force = true, FileLocks = true, LinkRemap = true }).Run();
            new RestoreOperation(new RestoreOptions { ImagesDirectory = target.Images }).Run();
        }

        Assert.Equal("ok", target.Finish());
        Assert.DoesNotContain("fail", target.Said);
    }
}
