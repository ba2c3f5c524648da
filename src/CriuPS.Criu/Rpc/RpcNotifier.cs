using CriuPS.Engine.Errors;
using CriuPS.Engine.Options;

namespace CriuPS.Criu.Rpc;

/// <summary>Tells a client of the stages of its operation; each is a question that the client must answer before the operation goes on.</summary>
internal sealed class RpcNotifier(RpcConnection client) : IOperationHooks
{
    /// <summary>Tells of a stage and waits for the answer.</summary>
    /// <exception cref="RpcException">The client has gone, does not agree, or answers with something else.</exception>
    public void Reach(HookPoint point, int? pid)
    {
        string stage = HookPoints.NameOf(point);
        CriuNotify notify = new() { Script = stage };
        if (pid is { } root)
        {
            notify.Pid = root;
        }

        if (!client.TrySend(new CriuResp { Type = CriuReqType.Notify, Success = true, Notify = notify }) || client.Receive() is not { } answer)
        {
            throw new RpcException($"the client went away at the stage {stage}", CriuErrorKind.NotFound);
        }

        if (answer.Type != CriuReqType.Notify)
        {
            throw new RpcException($"the client was told of the stage {stage} and answered with a request of type {answer.Type}");
        }

        if (!answer.NotifySuccess)
        {
            throw new RpcException($"the client reported a failure at the stage {stage}", CriuErrorKind.Busy);
        }
    }
}
