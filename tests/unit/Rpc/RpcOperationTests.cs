using CriuPS.Engine.Images;
using CriuPS.Engine.Kernel;
using CriuPS.Tests.Checkpoint;
using Xunit;

namespace CriuPS.Tests.Rpc;

/// <summary>Dumps and restores that a client asks for, with its notifications, its mistakes and its sudden end.</summary>
public sealed class RpcOperationTests(RpcServer server) : IClassFixture<RpcServer>
{
    private const int EBADRQC = 56, NoProcess = int.MaxValue;

    [Fact]
    public void A_target_is_dumped_and_restored_and_the_client_hears_of_every_stage()
    {
        using Target target = Target.Start("waits");
        using RpcRequest request = new(target.Images);
        List<(string Stage, int Pid)> stages = [];
        bool Note(CriuNotify notify)
        {
            stages.Add((notify.Script, notify.Pid));
            return true;
        }

        CriuResp dump = Ask(request.Dump(target.Pid, o => o.NotifyScripts = true), Note);
        Assert.True(dump.Success, dump.CrErrmsg);
        Assert.False(dump.Dump.Restored);
        Assert.Equal(["pre-dump", "post-dump"], stages.Select(s => s.Stage).Where(s => !s.StartsWith("network")));
        Assert.True(File.Exists(Path.Join(target.Images, "criu.log")));
        stages.Clear();
        CriuResp restore = Ask(request.Restore(o => o.NotifyScripts = true), Note);
        Assert.True(restore.Success, restore.CrErrmsg);
        Assert.Equal(target.Pid, restore.Restore.Pid);
        Assert.Contains(("post-restore", target.Pid), stages);
        Assert.Equal("pre-restore", stages[0].Stage);
        Assert.Equal("post-resume", stages[^1].Stage);
        Assert.Equal("ok", target.Finish());
    }

    [Theory]
    [InlineData("pre-dump")]
    [InlineData("post-dump")]
    public void A_client_that_disagrees_stops_the_dump(string stage)
    {
        using Target target = Target.Start("waits");
        using RpcRequest request = new(target.Images);
        CriuResp dump = Ask(request.Dump(target.Pid, o => o.NotifyScripts = true), notify => notify.Script != stage);
        Assert.False(dump.Success);
        Assert.Contains(stage, dump.CrErrmsg);
        Assert.Equal("ok", target.Finish());
    }

    [Theory]
    [InlineData("pre-dump")]
    [InlineData("post-dump")]
    public void A_client_that_goes_away_during_a_dump_leaves_the_target_unharmed(string stage)
    {
        using Target target = Target.Start("waits");
        using RpcRequest request = new(target.Images);
        using (RpcClient client = server.Connect())
        {
            CriuResp last = client.Ask(request.Dump(target.Pid, o => o.NotifyScripts = true));
            while (last.Notify.Script != stage)
            {
                last = client.Ask(new CriuReq { Type = CriuReqType.Notify, NotifySuccess = true });
            }
        }

        RpcServer.Wait(() => File.ReadAllText(Path.Join(target.Images, "criu.log")).Contains("Error"), "the end of the dump");
        Assert.Equal("ok", target.Finish());
    }

    [Fact]
    public void A_client_that_goes_away_while_nobody_talks_leaves_the_target_unharmed()
    {
        using Target target = Target.Start("mappings_many");
        using RpcRequest request = new(target.Images);
        using (RpcClient client = server.Connect())
        {
            client.Send(request.Dump(target.Pid));
        }

        using RpcClient other = server.Connect();
        Assert.True(other.Ask(new CriuReq { Type = CriuReqType.Version }).Success);
        RpcServer.Wait(() => server.Workers().Length == 0, "the end of the worker");
        Assert.Equal("ok", target.Finish());
    }

    [Fact]
    public void A_process_that_does_not_exist_is_ESRCH()
    {
        using RpcRequest request = new(Path.Join(server.Folder, "nobody"));
        CriuResp response = Ask(request.Dump(NoProcess));
        Assert.Equal((CriuReqType.Dump, false, Errno.ESRCH), (response.Type, response.Success, response.CrErrno));
    }

    [Fact]
    public void A_pid_in_use_is_EEXIST()
    {
        using Target target = Target.Start("guards");
        using RpcRequest request = new(target.Images);
        Assert.True(Ask(request.Dump(target.Pid, o => o.LeaveRunning = true)).Success);
        CriuResp response = Ask(request.Restore());
        Assert.Equal((CriuReqType.Restore, false, Errno.EEXIST), (response.Type, response.Success, response.CrErrno));
        Assert.Equal("ok", target.Finish());
    }

    [Fact]
    public void Options_that_mean_nothing_here_are_EBADRQC()
    {
        using RpcRequest request = new(Path.Join(server.Folder, "options"));
        foreach (Action<CriuOpts> mistake in new Action<CriuOpts>[]
        {
            o => o.LogFile = "../elsewhere.log", o => o.RstSibling = true, o => o.ImagesDirFd = -1, o => o.ImagesDirFd = 99999,
            o => o.WorkDirFd = 99999, o => o.EmptyNs = 1,
        })
        {
            CriuResp response = Ask(request.Dump(NoProcess, mistake));
            Assert.Equal((CriuReqType.Dump, EBADRQC), (response.Type, response.CrErrno));
        }
    }

    [Fact]
    public void What_is_not_supported_is_said_and_nothing_is_touched()
    {
        using Target target = Target.Start("guards");
        using RpcRequest request = new(target.Images);
        CriuResp response = Ask(request.Dump(target.Pid, o => o.TrackMem = true));
        Assert.Equal((false, Errno.EOPNOTSUPP), (response.Success, response.CrErrno));
        Assert.Contains("track-mem", response.CrErrmsg);
        Assert.Equal("ok", target.Finish());
    }

    [Fact]
    public void A_configuration_file_wins_over_the_request()
    {
        using Target target = Target.Start("guards");
        using RpcRequest request = new(target.Images);
        string file = Path.Join(target.Folder, "own.conf");
        File.WriteAllText(file, "log-file from-file.log\nleave-running\n");
        CriuResp response = Ask(request.Dump(target.Pid, o => (o.LogFile, o.ConfigFile) = ("from-request.log", file)));
        Assert.True(response.Success, response.CrErrmsg);
        Assert.True(File.Exists(Path.Join(target.Images, "from-file.log")));
        Assert.False(File.Exists(Path.Join(target.Images, "from-request.log")));
        Assert.Equal("ok", target.Finish());
    }

    [Fact]
    public void A_client_that_dumps_itself_learns_that_it_was_restored()
    {
        using SelfDumper dumper = SelfDumper.Start(server);
        RpcServer.Wait(dumper.HasEnded, "the end of the client that dumps itself");
        Assert.True(dumper.Said.Length == 0, dumper.Said);
        using (ImageSet images = ImageSet.Open(dumper.Images))
        {
            Assert.True(images.HasInventory, dumper.Log);
        }

        using RpcRequest request = new(dumper.Images);
        CriuResp restore = Ask(request.Restore());
        Assert.True(restore.Success, restore.CrErrmsg);
        RpcServer.Wait(() => dumper.Said.EndsWith('\n'), "the verdict of the client");
        Assert.Equal("restored = true, then the end\n", dumper.Said);
    }

    private CriuResp Ask(CriuReq request, Func<CriuNotify, bool>? agree = null)
    {
        using RpcClient client = server.Connect();
        return client.Ask(request, agree);
    }
}
