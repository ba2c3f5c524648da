using System.Globalization;
using CriuPS.Criu.Line;
using CriuPS.Criu.Running;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Options;

namespace CriuPS.Criu.Rpc;

/// <summary>
/// What a request asks for, put together from where it may be said: configuration files, the request, and the configuration file that the
/// request names, which wins. The directories that the client gives as descriptors stay open for as long as this object lives.
/// </summary>
/// <param name="client">The connection.</param>
/// <param name="request">The options of the request.</param>
/// <param name="standalone">Whether a service serves the request.</param>
internal sealed class RpcSettings(RpcConnection client, CriuOpts request, bool standalone) : IDisposable
{
    private const string DefaultLog = "criu.log";

    private readonly List<ClientDirectory> _directories = [];

    /// <summary>Runs an operation with its options, its log and those who are asked at its stages.</summary>
    /// <param name="defaults">The options of the operation before anything is said.</param>
    /// <param name="operation">Does it; told the options and where its events go.</param>
    /// <exception cref="CriuException">An option is wrong, or the operation failed; the log says so too.</exception>
    public TResult Run<TOptions, TResult>(TOptions defaults, Func<TOptions, Action<OperationEvent>, TResult> operation)
        where TOptions : CriuOptions
    {
        (TOptions options, Log opened) = Prepare(defaults);
        using Log log = opened;
        log.Write(EventLevel.Information, $"CriuPS {CommandLine.OwnVersion}, as CRIU {CommandLine.SpokenVersion}, for process {client.Peer.pid}");
        try
        {
            IOperationHooks? notifier = request.NotifyScripts ? new RpcNotifier(client) : null;
            return operation(options with { Hooks = HookChain.Of(options, log, notifier) }, log.Write);
        }
        catch (Exception e)
        {
            Note(e, log);
            throw;
        }
    }

    /// <summary>Fills the options of an operation.</summary>
    /// <exception cref="CriuException">An option is not allowed, unknown, or means nothing.</exception>
    public TOptions Fill<TOptions>(TOptions defaults)
        where TOptions : CriuOptions
    {
        TOptions options = OptionTable.Apply(defaults with { ImagesDirectory = "", LogFile = DefaultLog }, ConfigSources.Read(null, defaults: true));
        if (request.LogToStderr && !request.HasLogFile)
        {
            options = options with { LogFile = null };
        }

        options = OptionTable.Apply(options, [.. Directories(), .. LogOptions(), .. new RpcOptions(request, standalone).Named()]);

        // Clients name one that a person may put there; most do not.
        return File.Exists(request.ConfigFile) ? OptionTable.Apply(options, ConfigFile.Read(request.ConfigFile)) : options;
    }

    /// <inheritdoc/>
    public void Dispose() => _directories.ForEach(d => d.Dispose());

    private static void Note(Exception failure, Log log)
    {
        IEnumerable<string> lines = failure is RefusedException { Refusals: var refusals }
            ? refusals.Select(refusal => Spelling.OptionNames(refusal.ToString()))
            : [Spelling.Describe(failure)];
        foreach (string line in lines)
        {
            log.Write(EventLevel.Error, line);
        }
    }

    // Whatever fails here is a mistake of the request, which names the directories and the files.
    private (TOptions Options, Log Log) Prepare<TOptions>(TOptions defaults)
        where TOptions : CriuOptions
    {
        try
        {
            TOptions options = Enter(Fill(defaults));
            return (options, Log.Open(options));
        }
        catch (CriuException e) when (e.Kind is not (CriuErrorKind.BadOption or CriuErrorKind.NotSupported))
        {
            throw new RpcException(Spelling.Describe(e));
        }
    }

    private IEnumerable<NamedOption> Directories()
    {
        if (request.ImagesDirFd != -1)
        {
            yield return new NamedOption("images-dir", Open(request.ImagesDirFd, "images_dir_fd"));
        }
        else if (request.HasImagesDir)
        {
            yield return new NamedOption("images-dir", request.ImagesDir);
        }

        if (request.HasWorkDirFd)
        {
            yield return new NamedOption("work-dir", Open(request.WorkDirFd, "work_dir_fd"));
        }
    }

    private IEnumerable<NamedOption> LogOptions()
    {
        yield return new NamedOption("verbosity", request.LogLevel.ToString(CultureInfo.InvariantCulture));
        if (request.HasLogFile)
        {
            yield return request.LogFile.Contains('/')
                ? throw new RpcException($"log_file '{request.LogFile}' must be a name in the work directory, without '/'")
                : new NamedOption("log-file", request.LogFile);
        }
    }

    private string Open(int number, string field)
    {
        ClientDirectory directory = ClientDirectory.Open(client.Peer.pid, number, field);
        _directories.Add(directory);
        return directory.Path;
    }

    // Logs, pid files and scripts are looked for in the work directory; this process serves nobody else.
    private static TOptions Enter<TOptions>(TOptions options)
        where TOptions : CriuOptions
    {
        bool hasImages = options.ImagesDirectory.Length > 0, needsImages = options is DumpOptions or RestoreOptions;
        if (!hasImages && (needsImages || options.WorkDirectory is null))
        {
            throw new RpcException("the request names no directory for images; images_dir_fd or images_dir is needed");
        }

        string images = hasImages ? Path.GetFullPath(options.ImagesDirectory) : "";
        try
        {
            Environment.CurrentDirectory = options.WorkDirectory ?? images;
        }
        catch (IOException e)
        {
            throw new RpcException($"the work directory cannot be entered: {e.Message}");
        }

        return options with { ImagesDirectory = images };
    }
}
