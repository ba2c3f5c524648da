using System.Security.Cryptography;
using CriuPS.Criu.Rpc;
using CriuPS.Engine.Kernel;
using Xunit;

namespace CriuPS.Tests.Rpc;

/// <summary>What the service says to requests that touch nothing, to nonsense, and to clients that come and go.</summary>
public sealed class RpcConversationTests(RpcServer server) : IClassFixture<RpcServer>
{
    private const int EBADRQC = 56;

    [Fact]
    public void One_connection_can_ask_for_version_and_features()
    {
        using RpcClient client = server.Connect();
        CriuResp version = client.Ask(new CriuReq { Type = CriuReqType.Version, KeepOpen = true });
        Assert.True(version.Success);
        Assert.Equal((4, 2, false), (version.Version.MajorNumber, version.Version.MinorNumber, version.Version.HasGitid));
        CriuReq question = new() { Type = CriuReqType.FeatureCheck, Features = new CriuFeatures { MemTrack = true, LazyPages = true } };
        CriuResp features = client.Ask(question);
        Assert.True(features.Success);
        Assert.True(features.Features.HasMemTrack && features.Features.HasLazyPages && features.Features.HasPidfdStore);
        Assert.Null(client.Receive());
    }

    [Fact]
    public void A_check_succeeds_where_dumps_work()
    {
        using RpcClient client = server.Connect();
        CriuResp check = client.Ask(new CriuReq { Type = CriuReqType.Check });
        Assert.True(check.Success, check.CrErrmsg);
    }

    [Theory]
    [InlineData(new byte[] { 0xff, 0xff, 0xff })]
    [InlineData(new byte[] { 0x12, 0x7f, 0x01 })]
    [InlineData(new byte[] { 0x0a, 0x00 })]
    public void What_is_no_request_is_answered_with_an_error(byte[] packet) => AssertRefused(packet, "no request");

    [Fact]
    public void Random_bytes_are_answered_with_an_error()
    {
        for (int size = 1; size <= 4096; size *= 4)
        {
            using RpcClient client = server.Connect();
            client.Send([0xff, .. RandomNumberGenerator.GetBytes(size)]);
            Assert.False(client.Receive()!.Success);
        }
    }

    [Fact]
    public void A_request_that_is_too_large_is_answered_with_an_error()
    {
        CriuReq request = new() { Type = CriuReqType.Version, Opts = new CriuOpts { LogFile = new string('x', RpcConnection.LargestRequest) } };
        AssertRefused(Google.Protobuf.MessageExtensions.ToByteArray(request), "too large", bufferSize: RpcConnection.LargestRequest * 4);
    }

    [Theory]
    [InlineData(CriuReqType.Notify)]
    [InlineData(CriuReqType.Empty)]
    [InlineData((CriuReqType)99)]
    public void A_type_that_is_no_request_is_answered_with_type_empty(CriuReqType type)
    {
        using RpcClient client = server.Connect();
        CriuResp response = client.Ask(new CriuReq { Type = type });
        Assert.Equal((CriuReqType.Empty, false, EBADRQC), (response.Type, response.Success, response.CrErrno));
    }

    [Theory]
    [InlineData(CriuReqType.Dump)]
    [InlineData(CriuReqType.Restore)]
    public void A_request_without_options_or_with_keep_open_where_it_is_not_allowed_says_so(CriuReqType type)
    {
        using RpcClient client = server.Connect();
        CriuResp response = client.Ask(new CriuReq { Type = type });
        Assert.Equal((type, EBADRQC), (response.Type, response.CrErrno));
        Assert.Contains("options", response.CrErrmsg);
        using RpcClient other = server.Connect();
        Assert.Contains("keep_open", other.Ask(new CriuReq { Type = type, KeepOpen = true }).CrErrmsg);
    }

    [Fact]
    public void Waiting_for_a_process_that_is_no_child_says_so()
    {
        using RpcClient client = server.Connect();
        CriuResp response = client.Ask(new CriuReq { Type = CriuReqType.WaitPid, Pid = 1 });
        Assert.Equal((CriuReqType.WaitPid, false, Errno.ECHILD), (response.Type, response.Success, response.CrErrno));
    }

    [Fact]
    public void Hundreds_of_short_connections_leave_the_service_as_it_was()
    {
        for (int i = 0; i < 200; i++)
        {
            server.Connect().Dispose();
        }

        One_connection_can_ask_for_version_and_features();
        RpcServer.Wait(() => server.Workers().Length == 0, "the end of all workers");
    }

    private void AssertRefused(byte[] packet, string reason, int bufferSize = 0)
    {
        using RpcClient client = server.Connect(bufferSize);
        client.Send(packet);
        CriuResp response = client.Receive()!;
        Assert.Equal((CriuReqType.Empty, false), (response.Type, response.Success));
        Assert.Contains(reason, response.CrErrmsg);
        One_connection_can_ask_for_version_and_features();
    }
}
