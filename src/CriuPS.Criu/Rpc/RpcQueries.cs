using CriuPS.Engine.Check;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Options;

namespace CriuPS.Criu.Rpc;

/// <summary>Requests that ask for something and touch nothing.</summary>
internal static class RpcQueries
{
    private static readonly System.Version s_spoken = System.Version.Parse(CommandLine.SpokenVersion);

    /// <summary>The version of CRIU whose commands, options and images we speak: clients compare it with what they need.</summary>
    public static CriuResp Version() => new()
    {
        Type = CriuReqType.Version, Success = true,
        Version = new CriuVersion { MajorNumber = s_spoken.Major, MinorNumber = s_spoken.Minor, Name = $"CriuPS {CommandLine.OwnVersion}" },
    };

    /// <summary>Which of the features that the client asks for are there: the kernel has them, and the engine uses them.</summary>
    public static CriuResp Features(CriuReq request)
    {
        CriuFeatures wanted = request.Features ?? throw new RpcException("a feature check names no features");
        CriuFeatures found = new()
        {
            MemTrack = wanted.MemTrack && Has("mem_dirty_track", "track-mem"), LazyPages = wanted.LazyPages && Has("uffd-noncoop", "lazy-pages"),
            PidfdStore = false,
        };
        return new CriuResp { Type = CriuReqType.FeatureCheck, Success = true, Features = found };
    }

    /// <summary>Whether this kernel and these privileges have all that dumps and restores need.</summary>
    /// <param name="client">The connection.</param>
    /// <param name="request">The options of the request, of which only those about the log matter; they may be missing.</param>
    /// <param name="standalone">Whether a service serves the request.</param>
    public static CriuResp Check(RpcConnection client, CriuOpts? request, bool standalone)
    {
        if (request is not { HasLogFile: true, LogToStderr: false })
        {
            return Check();
        }

        using RpcSettings settings = new(client, request, standalone);
        return settings.Run(new CriuOptions(), (_, _) => Check());
    }

    /// <summary>Writes down what the processor is, or says whether this one is fit.</summary>
    public static CriuResp Processor(RpcConnection client, CriuReqType type, CriuOpts request, bool standalone)
    {
        using RpcSettings settings = new(client, request, standalone);
        return settings.Run(new CriuOptions(), (options, _) =>
        {
            if (type == CriuReqType.CpuinfoDump)
            {
                ProcessorImage.Write(options.ImagesDirectory);
            }
            else
            {
                ProcessorImage.Validate(options.ImagesDirectory, options.CpuCapabilities);
            }

            return new CriuResp { Type = type, Success = true };
        });
    }

    private static CriuResp Check()
    {
        KernelFeature[] missing = [.. KernelCheck.RunRequired().Where(feature => !feature.Supported)];
        return missing is []
            ? new CriuResp { Type = CriuReqType.Check, Success = true }
            : throw new RpcException($"missing here: {string.Join("; ", missing.Select(f => $"{f.Name} ({f.Detail})"))}", CriuErrorKind.KernelFailure);
    }

    /// <summary>Waits for a child of this worker, such as a page server, and tells how it ended.</summary>
    public static CriuResp WaitPid(CriuReq request)
    {
        if (!request.HasPid)
        {
            throw new RpcException("a request to wait names no pid");
        }

        return new CriuResp { Type = CriuReqType.WaitPid, Success = true, Status = Wait.ForChild((int)request.Pid) };
    }

    private static bool Has(string feature, string option) =>
        OptionRules.NotSupported.All(o => o.Name != option) && KernelCheck.Run([feature]).All(f => f.Supported);
}
