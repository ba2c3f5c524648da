using CriuPS.Engine.Dump;
using CriuPS.Engine.Options;

namespace CriuPS.Criu.Rpc;

/// <summary>A request to dump: the process that it names, or the one that sends it.</summary>
internal sealed class RpcDump(RpcConnection client, bool standalone)
{
    /// <summary>Dumps; null where there is nobody left to hear of it.</summary>
    public CriuResp? Run(CriuOpts request)
    {
        bool self = !request.HasPid;
        using RpcSettings settings = new(client, request, standalone);
        DumpOptions defaults = new() { Pid = self ? client.Peer.pid : request.Pid, Force = true, PipesMayEndOutside = true, ServiceSocket = client.PeerInode };
        FinalState state = settings.Run(defaults, (options, tell) => Dump(options, tell, self));
        return self && state == FinalState.Kill
            ? null
            : new CriuResp { Type = CriuReqType.Dump, Success = true, Dump = new CriuDumpResp { Restored = false } };
    }

    // Who dumps himself stands still and cannot go away; and when he is killed at the end, that is no reason to undo anything.
    private FinalState Dump(DumpOptions options, Action<OperationEvent> tell, bool self)
    {
        using HangUpWatch watch = client.WatchHangUp();
        DumpResult result = new DumpOperation(options, tell).Run(self ? default : watch.Gone);
        DumpStatistics.Write(result, Environment.CurrentDirectory);
        return result.FinalState;
    }
}
