using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using Google.Protobuf;

namespace CriuPS.Criu.Rpc;

/// <summary>Serves the requests of one connection, one after the other.</summary>
/// <param name="client">The connection.</param>
/// <param name="standalone">Whether a service took the connection, and not the client started this process for itself.</param>
internal sealed class RpcWorker(RpcConnection client, bool standalone)
{
    /// <summary>Types after whose success the connection may stay open for another request.</summary>
    private static readonly HashSet<CriuReqType> s_repeatable =
    [
        CriuReqType.PageServer, CriuReqType.PageServerChld, CriuReqType.CpuinfoDump, CriuReqType.CpuinfoCheck, CriuReqType.FeatureCheck,
        CriuReqType.Version,
    ];

    // A program with the set-user-ID bit has two: whose rights it uses, and who started it.
    private static readonly uint[] s_users = [(uint)Syscall.Invoke(SyscallNumber.geteuid), (uint)Syscall.Invoke(SyscallNumber.getuid)];

    /// <summary>Serves until the client is done or has gone; the result is the exit code.</summary>
    public int Run()
    {
        bool inRounds = false;
        while (Receive(out CriuReq? request))
        {
            if (request is null)
            {
                return 0;
            }

            if (inRounds && request.Type is not (CriuReqType.PreDump or CriuReqType.Dump))
            {
                Refuse(new RpcException($"after a pre-dump comes another one or a dump, and not a request of type {request.Type}"));
                return 1;
            }

            if (!Serve(request))
            {
                return 1;
            }

            inRounds = request.Type == CriuReqType.PreDump;
            if (!inRounds && !request.KeepOpen)
            {
                return 0;
            }
        }

        return 1;
    }

    private bool Receive(out CriuReq? request)
    {
        request = null;
        try
        {
            request = client.Receive();
            return true;
        }
        catch (RpcException e)
        {
            Refuse(e);
            return false;
        }
    }

    private bool Serve(CriuReq request)
    {
        CriuResp? response;
        try
        {
            CheckOrder(request);
            CheckPeer(request);
            response = Answer(request);
        }
        catch (Exception e)
        {
            response = RpcFailure.Describe(Empty(request.Type), e);
        }

        return response is null || (client.TrySend(response) && response.Success);
    }

    private CriuResp? Answer(CriuReq request) => request.Type switch
    {
        CriuReqType.Version => RpcQueries.Version(),
        CriuReqType.FeatureCheck => RpcQueries.Features(request),
        CriuReqType.Check => RpcQueries.Check(client, request.Opts, standalone),
        CriuReqType.WaitPid => RpcQueries.WaitPid(request),
        CriuReqType.Dump => new RpcDump(client, standalone).Run(Options(request)),
        CriuReqType.Restore => new RpcRestore(client, standalone).Run(Options(request)),
        CriuReqType.CpuinfoDump or CriuReqType.CpuinfoCheck => RpcQueries.Processor(client, request.Type, Options(request), standalone),
        CriuReqType.PreDump or CriuReqType.SinglePreDump or CriuReqType.PageServer or CriuReqType.PageServerChld => throw new RpcException($"requests of type {request.Type} are not supported yet", CriuErrorKind.NotSupported),
        _ => throw new RpcException($"{request.Type} is no type of a request"),
    };

    private static CriuOpts Options(CriuReq request) =>
        request.Opts is { } options && options.HasRequiredFields() ? options : throw new RpcException("the options of the request are missing or incomplete");

    private static void CheckOrder(CriuReq request)
    {
        if (request.KeepOpen && !s_repeatable.Contains(request.Type))
        {
            throw new RpcException($"keep_open is not allowed for a request of type {request.Type}");
        }
    }

    // Whoever may open the service's socket could otherwise read any process, and start any, with the rights of the service.
    private void CheckPeer(CriuReq request)
    {
        if (standalone && request.Type is not (CriuReqType.Version or CriuReqType.FeatureCheck or CriuReqType.Check)
            && client.Peer.uid != 0 && !s_users.Contains(client.Peer.uid))
        {
            throw new RpcException($"user {client.Peer.uid} may not ask a service of user {s_users[1]} for that", CriuErrorKind.PermissionDenied);
        }
    }

    private void Refuse(RpcException failure) => client.TrySend(RpcFailure.Describe(Empty(CriuReqType.Empty), failure));

    private static CriuResp Empty(CriuReqType type) => type switch
    {
        CriuReqType.Dump => new CriuResp { Type = type, Dump = new CriuDumpResp { Restored = false } },
        CriuReqType.Restore => new CriuResp { Type = type, Restore = new CriuRestoreResp { Pid = -1 } },
        CriuReqType.PageServerChld => new CriuResp { Type = CriuReqType.PageServer },
        _ => new CriuResp { Type = Enum.IsDefined(type) && type != CriuReqType.Notify ? type : CriuReqType.Empty },
    };
}
