using System.Diagnostics;
using CriuPS.Engine.Restore;
using Xunit;

namespace CriuPS.Tests.Restore;

public sealed class ProcessEndTests
{
    private static CancellationToken Limit => new CancellationTokenSource(TimeSpan.FromSeconds(20)).Token;

    [Fact]
    public void Waits_until_the_process_has_ended()
    {
        using Process process = Process.Start("sleep", "0.3");
        var watch = Stopwatch.StartNew();

        ProcessEnd.Wait(process.Id, Limit);

        Assert.InRange(watch.ElapsedMilliseconds, 200, 15_000);
        Assert.True(process.WaitForExit(5000));
    }

    [Fact]
    public void A_process_that_is_gone_needs_no_waiting()
    {
        using Process process = Process.Start("true");
        process.WaitForExit();

        ProcessEnd.Wait(process.Id, Limit);
    }

    [Fact]
    public void Cancelling_ends_the_waiting_and_not_the_process()
    {
        using Process process = Process.Start("sleep", "60");
        using var cancellation = new CancellationTokenSource(TimeSpan.FromMilliseconds(200));

        Assert.Throws<OperationCanceledException>(() => ProcessEnd.Wait(process.Id, cancellation.Token));

        Assert.False(process.HasExited);
        process.Kill();
        process.WaitForExit();
    }
}
