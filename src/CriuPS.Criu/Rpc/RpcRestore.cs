using CriuPS.Engine.Options;
using CriuPS.Engine.Restore;

namespace CriuPS.Criu.Rpc;

/// <summary>A request to restore; what is restored belongs to init, or to whoever started this process.</summary>
internal sealed class RpcRestore(RpcConnection client, bool standalone)
{
    /// <summary>Restores and tells the pid.</summary>
    public CriuResp Run(CriuOpts request)
    {
        using RpcSettings settings = new(client, request, standalone);
        int pid = settings.Run(new RestoreOptions { Detached = true, PipesMayEndOutside = true }, (options, tell) =>
        {
            using HangUpWatch watch = client.WatchHangUp();
            RestoreResult result = new RestoreOperation(options, tell).Run(watch.Gone);
            RestoreStatistics.Write(result, Environment.CurrentDirectory);
            return result.Id;
        });
        return new CriuResp { Type = CriuReqType.Restore, Success = true, Restore = new CriuRestoreResp { Pid = pid } };
    }
}
