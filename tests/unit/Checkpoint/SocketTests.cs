using System.Net.Sockets;
using System.Text;
using CriuPS.Engine.Dump;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Options;
using CriuPS.Engine.Restore;
using CriuPS.Tests.Images;
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

    [Fact]
    public void A_connection_to_a_process_outside_stops_the_dump_and_names_it()
    {
        using TemporaryDirectory folder = new();
        using Socket listener = Listen(folder["s"]);
        using Target target = Target.Start("socket_outside", $"STREAM={folder["s"]}");
        using Socket other = listener.Accept();
        Refusal refusal = Assert.Single(Assert.Throws<RefusedException>(() => Dump(target, FinalState.Kill)).Refusals);
        Assert.Equal(target.Pid, refusal.Pid);
        Assert.Contains("socket:[", refusal.Subject);
        Assert.Contains($"process {Environment.ProcessId}", refusal.Reason);
        Assert.Contains(folder["s"], refusal.Reason);
        Assert.Equal("ok", target.Finish());
        Assert.Equal("bye", Text(other));
    }

    [Fact]
    public void A_datagram_socket_finds_the_one_outside_again()
    {
        using TemporaryDirectory folder = new();
        using Socket other = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        other.Bind(new UnixDomainSocketEndPoint(folder["d"]));
        using Target target = Target.Start("socket_outside", $"DATAGRAM={folder["d"]}");
        Assert.Contains("-ExtUnixSk", Assert.Throws<RefusedException>(() => Dump(target, FinalState.Kill)).Refusals[0].Remedy);
        new DumpOperation(Options(target) with { ExternalUnixSockets = true }).Run();
        Assert.Equal("ExternalSocket", Assert.Throws<CriuException>(() => new RestoreOperation(new RestoreOptions { ImagesDirectory = target.Images }).Run()).Id);
        new RestoreOperation(new RestoreOptions { ImagesDirectory = target.Images, ExternalUnixSockets = true }).Run();
        Assert.Equal("ok", target.Finish());
        Assert.Equal("bye", Text(other));
    }

    [Fact]
    public void A_connection_to_the_outside_may_be_given_by_who_restores()
    {
        using TemporaryDirectory folder = new();
        using Socket listener = Listen(folder["s"]);
        using Target target = Target.Start("socket_outside", $"STREAM={folder["s"]}");
        using Socket other = listener.Accept();
        string name = Directory.GetFiles($"/proc/{target.Pid}/fd").Select(fd => new FileInfo(fd).LinkTarget!).Single(link => link.StartsWith("socket:["));
        new DumpOperation(Options(target) with { External = [$"unix[{name[8..^1]}]"] }).Run();
        using Socket ours = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        ours.Connect(new UnixDomainSocketEndPoint(folder["s"]));
        using Socket theirs = listener.Accept();
        RestoreOptions options = new() { ImagesDirectory = target.Images };
        Assert.Equal("ExternalSocket", Assert.Throws<CriuException>(() => new RestoreOperation(options).Run()).Id);
        new RestoreOperation(options with { InheritedDescriptors = [new InheritedDescriptor((int)ours.Handle, name)] }).Run();
        Assert.Equal("ok", target.Finish());
        Assert.Equal("bye", Text(theirs));
    }

    [Fact]
    public void A_path_that_somebody_else_is_bound_to_stays_his()
    {
        using Target target = Target.Start("socket_names");
        Dump(target, FinalState.Kill);
        string path = Path.Join(target.Folder, "status.d", "p");
        File.Delete(path);
        RestoreOptions options = new() { ImagesDirectory = target.Images };
        using (Listen(path))
        {
            CriuException refused = Assert.Throws<CriuException>(() => new RestoreOperation(options).Run());
            Assert.Equal("SocketPathInUse", refused.Id);
            Assert.Contains(path, refused.Message);
            Assert.True(File.Exists(path));
        }

        // .NET takes the file of its listener away.
        File.WriteAllText(path, "another file");
        Assert.Contains("another file", Assert.Throws<CriuException>(() => new RestoreOperation(options).Run()).Message);
        File.Delete(path);
        new RestoreOperation(options).Run();
        Assert.Equal("ok", target.Finish());
    }

    [Fact]
    public void A_name_without_a_path_that_somebody_else_has_is_named()
    {
        using Target target = Target.Start("socket_names");
        Dump(target, FinalState.Kill);
        string name = $"criups {target.Pid} \0and\0";
        using (Listen("\0" + name.PadRight(30, '\0')))
        {
            CriuException refused = Assert.Throws<CriuException>(() => new RestoreOperation(new RestoreOptions { ImagesDirectory = target.Images }).Run());
            Assert.Equal("SocketNameInUse", refused.Id);
            Assert.Contains($"@criups {target.Pid} @and@", refused.Message);
        }

        new RestoreOperation(new RestoreOptions { ImagesDirectory = target.Images }).Run();
        Assert.Equal("ok", target.Finish());
    }

    private static Socket Listen(string path)
    {
        Socket listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen(5);
        return listener;
    }

    private static string Text(Socket socket)
    {
        byte[] buffer = new byte[100];
        socket.ReceiveTimeout = 30_000;
        return Encoding.ASCII.GetString(buffer, 0, socket.Receive(buffer));
    }

    private static DumpOptions Options(Target target) => new() { Pid = target.Pid, ImagesDirectory = target.Images, Force = true };

    private static void Dump(Target target, FinalState state) =>
        new DumpOperation(Options(target) with { FinalState = state }).Run();
}
