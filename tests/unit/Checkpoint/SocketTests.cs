using CriuPS.Engine.Dump;
using CriuPS.Engine.Options;
using CriuPS.Engine.Restore;
using Xunit;

namespace CriuPS.Tests.Checkpoint;

/// <summary>Unix sockets: what a program finds in and behind them after a restore, and after a dump that it survives.</summary>
public sealed class SocketTests
{
    public static readonly TheoryData<string> Targets =
        ["socket_pairs", "socket_names", "socket_listeners", "socket_datagrams", "socket_rights", "socket_options"];

    [Theory]
    [MemberData(nameof(Targets))]
    public void A_target_does_not_notice_its_checkpoint(string name)
    {
        using Target target = Target.Start(name);
        for (int round = 0; round < 2; round++)
        {
            IReadOnlyList<string> before = ProcSnapshot.Of(target.Pid);
            Dump(target, FinalState.Kill);
            RestoreResult restore = new RestoreOperation(new RestoreOptions { ImagesDirectory = target.Images }).Run();
            Assert.Equal(target.Pid, restore.Id);
            string difference = ProcSnapshot.Difference(before, ProcSnapshot.Of(target.Pid));
            Assert.True(difference == "", $"{target.Said}\n{difference}");
        }

        Assert.Equal("ok", target.Finish());
    }

    [Theory]
    [InlineData("socket_names")]
    [InlineData("socket_listeners")]
    [InlineData("socket_datagrams")]
    [InlineData("socket_rights")]
    [InlineData("socket_options")]
    public void A_target_that_runs_on_finds_its_sockets_as_they_were(string name)
    {
        using Target target = Target.Start(name);
        IReadOnlyList<string> before = ProcSnapshot.Of(target.Pid);
        for (int round = 0; round < 2; round++)
        {
            Dump(target, FinalState.Run);
        }

        Assert.Equal("", ProcSnapshot.Difference(before, ProcSnapshot.Of(target.Pid)));
        Assert.Equal("ok", target.Finish());
    }

    private static void Dump(Target target, FinalState state) =>
        new DumpOperation(new DumpOptions { Pid = target.Pid, ImagesDirectory = target.Images, FinalState = state, Force = true }).Run();
}
