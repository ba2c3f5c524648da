using System.Diagnostics;
using CriuPS.Engine.Dump;
using CriuPS.Engine.Options;
using CriuPS.Engine.Restore;
using Xunit;

namespace CriuPS.Tests.Checkpoint;

/// <summary>
/// Who dumps is often who started the target: Start-Process, then Invoke-CriuDump. .NET has a thread that waits for its children, and waitpid(2) gives the stops
/// of tracees to any thread of the process, each once.
/// </summary>
public sealed class OwnChildTests
{
    private const int Dumps = 20;
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(20);

    [Fact]
    public void A_child_of_this_process_is_dumped_while_other_children_come_and_go()
    {
        using Target target = Target.StartChild("waits");
        using CancellationTokenSource enough = new();
        Thread others = new(() => StartOthers(enough.Token));
        others.Start();
        try
        {
            for (int i = 0; i < Dumps; i++)
            {
                Dump(target, FinalState.Run);
                Assert.False(target.HasExited, $"after dump {i} .NET says that the child has ended");
            }

            Dump(target, FinalState.Kill);
            Assert.True(SpinWait.SpinUntil(() => target.HasExited, s_patience), ".NET does not notice the end of the child");
            new RestoreOperation(new RestoreOptions { ImagesDirectory = target.Images }).Run();
        }
        finally
        {
            enough.Cancel();
            others.Join();
        }

        Assert.Equal("ok", target.Finish());
    }

    private static void Dump(Target target, FinalState state) =>
        new DumpOperation(new DumpOptions { Pid = target.Pid, ImagesDirectory = target.Images, FinalState = state, Force = true }).Run();

    private static void StartOthers(CancellationToken enough)
    {
        while (!enough.IsCancellationRequested)
        {
            using Process other = Process.Start("true");
            other.WaitForExit();
        }
    }
}
