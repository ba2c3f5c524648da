using CriuPS.Engine.Dump;
using CriuPS.Engine.Options;
using CriuPS.Engine.Restore;
using Xunit;

namespace CriuPS.Tests.Checkpoint;

/// <summary>A dump or a restore that is cancelled at any of its events undoes what it has done.</summary>
public sealed class CancellationTests
{
    [Theory]
    [InlineData("waits", FinalState.Run)]
    [InlineData("waits", FinalState.Kill)]
    [InlineData("threads", FinalState.Kill)]
    [InlineData("shared_by_family", FinalState.Kill)]
    public void A_dump_that_is_cancelled_leaves_no_image_set_and_an_unharmed_target(string name, FinalState state)
    {
        using Target target = Target.Start(name);
        IReadOnlyList<string> before = ProcSnapshot.Of(target.Pid);
        int events = CountEvents(tell => Dump(target, tell, CancellationToken.None));
        Directory.Delete(target.Images, recursive: true);
        for (int at = 1; at < events; at++)
        {
            CancelAt(at, (tell, token) => Dump(target, tell, token, state));
            Assert.False(Directory.Exists(target.Images), $"cancelled at event {at} of {events}, and something is left");
            Assert.Equal("", TracerOf(target.Pid));
        }

        Assert.Equal(Lasting(before), Lasting(ProcSnapshot.Of(target.Pid)));
        Assert.Equal("ok", target.Finish());
    }

    [Fact]
    public void A_restore_that_is_cancelled_leaves_nothing_that_was_started_and_the_image_set_as_it_was()
    {
        using Target target = Target.Start("waits");
        Dump(target, null, CancellationToken.None, FinalState.Kill);
        int events = CountEvents(tell => Restore(target, tell, CancellationToken.None));
        Dump(target, null, CancellationToken.None, FinalState.Kill);
        IReadOnlyList<string> before = Contents(target.Images);
        for (int at = 1; at < events; at++)
        {
            CancelAt(at, (tell, token) => Restore(target, tell, token));
            Assert.True(IsGone(target.Pid), $"cancelled at event {at} of {events}, and process {target.Pid} is there");
        }

        Assert.Equal(before, Contents(target.Images));
        Restore(target, null, CancellationToken.None);
        Assert.Equal("ok", target.Finish());
    }

    private static void Dump(Target target, Action<OperationEvent>? tell, CancellationToken token, FinalState state = FinalState.Run) =>
        new DumpOperation(new DumpOptions { Pid = target.Pid, ImagesDirectory = target.Images, FinalState = state, Force = true }, tell).Run(token);

    private static void Restore(Target target, Action<OperationEvent>? tell, CancellationToken token) =>
        new RestoreOperation(new RestoreOptions { ImagesDirectory = target.Images }, tell).Run(token);

    private static int CountEvents(Action<Action<OperationEvent>> run)
    {
        int count = 0;
        run(_ => count++);
        Assert.True(count > 3);
        return count;
    }

    private static void CancelAt(int number, Action<Action<OperationEvent>, CancellationToken> run)
    {
        using CancellationTokenSource source = new();
        int count = 0;
        Assert.ThrowsAny<OperationCanceledException>(() => run(_ => Cancel(source, ++count == number), source.Token));
    }

    private static void Cancel(CancellationTokenSource source, bool now)
    {
        if (now)
        {
            source.Cancel();
        }
    }

    // Where it is at the moment changes by itself, and so does what it has pending.
    private static IEnumerable<string> Lasting(IReadOnlyList<string> snapshot) => snapshot.Where(line => line.StartsWith("maps") || line.StartsWith("fd "));

    private static string TracerOf(int pid) =>
        string.Concat(File.ReadAllLines($"/proc/{pid}/status").Where(line => line.StartsWith("TracerPid:") && !line.EndsWith("\t0")));

    private static bool IsGone(int pid) =>
        !File.Exists($"/proc/{pid}/status") || File.ReadAllText($"/proc/{pid}/status").Contains("State:\tZ", StringComparison.Ordinal);

    private static IReadOnlyList<string> Contents(string folder) =>
        [.. Directory.GetFiles(folder).Order().Select(file => $"{file} {Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(file)))}")];
}
