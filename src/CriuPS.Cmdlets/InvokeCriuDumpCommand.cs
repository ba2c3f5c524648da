using System.Diagnostics;
using System.Management.Automation;
using CriuPS.Engine.Dump;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Options;
using CriuPS.Engine.Proc;

namespace CriuPS.Commands;

/// <summary>Checkpoints process trees: each into a directory of image files.</summary>
[Cmdlet(VerbsLifecycle.Invoke, "CriuDump", DefaultParameterSetName = IdSet, SupportsShouldProcess = true)]
[OutputType(typeof(DumpResult), typeof(Refusal))]
public sealed class InvokeCriuDumpCommand : CriuCmdlet
{
    private const string IdSet = "Id";
    private const string InputObjectSet = "InputObject";

    private readonly Dictionary<string, int> _usedPaths = new(StringComparer.Ordinal);

    // Fields of the engine's own types would be needed before the module can tell where the engine is.
    private uint _parts = (uint)CpuCapabilities.Default;
    private int _unsupported = (int)UnsupportedFiles.Fail;

    /// <summary>The root of the tree.</summary>
    [Parameter(Mandatory = true, Position = 0, ParameterSetName = IdSet, ValueFromPipelineByPropertyName = true)]
    [Alias("Pid")]
    [ValidateRange(1, int.MaxValue)]
    public int Id { get; set; }

    /// <summary>The root of the tree, as Get-Process returns it.</summary>
    [Parameter(Mandatory = true, ParameterSetName = InputObjectSet, ValueFromPipeline = true)]
    [ValidateNotNull]
    public Process? InputObject { get; set; }

    /// <summary>Where the image files go; made if it does not exist.</summary>
    // No property of Get-Process: a process object has a Path too, and that is its program.
    [Parameter(Mandatory = true, Position = 1)]
    [ValidateNotNullOrEmpty]
    public string Path { get; set; } = "";

    /// <summary>The tree runs on instead of ending.</summary>
    [Parameter]
    public SwitchParameter LeaveRunning { get; set; }

    /// <summary>The tree is left stopped, as by SIGSTOP, instead of ending.</summary>
    [Parameter]
    public SwitchParameter LeaveStopped { get; set; }

    /// <summary>The root may belong to a session and a terminal outside of the tree.</summary>
    [Parameter]
    public SwitchParameter ShellJob { get; set; }

    /// <summary>Locks and leases on files are saved, and taken again by the restored processes.</summary>
    [Parameter]
    public SwitchParameter FileLocks { get; set; }

    /// <summary>A file that is open by a name that is gone, but has other names, may get a new one until the restore.</summary>
    [Parameter]
    public SwitchParameter LinkRemap { get; set; }

    /// <summary>The largest deleted file, in bytes on disk, that goes into the image set.</summary>
    [Parameter]
    [ValidateRange(0, long.MaxValue)]
    public long GhostLimit { get; set; } = CriuOptions.DefaultGhostLimit;

    /// <summary>The processor is described in the image set; unless this is None.</summary>
    [Parameter]
    public CpuCapabilities CpuCapability { get => (CpuCapabilities)_parts; set => _parts = (uint)value; }

    /// <summary>Datagram sockets may be connected with sockets outside of the tree that have names.</summary>
    [Parameter]
    public SwitchParameter ExtUnixSk { get; set; }

    /// <summary>Resources that are not saved, as kind[id]:name.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string[] External { get; set; } = [];

    /// <summary>How long the freezing of the tree may take, in seconds; 0 is for ever.</summary>
    [Parameter]
    [ValidateRange(0, int.MaxValue / 1000)]
    public int TimeoutSeconds { get; set; } = (int)CriuOptions.DefaultTimeout.TotalSeconds;

    /// <summary>What is done with open files that cannot be saved.</summary>
    [Parameter]
    public UnsupportedFiles UnsupportedFile { get => (UnsupportedFiles)_unsupported; set => _unsupported = (int)value; }

    /// <summary>Files whose content goes into the image set; wildcards are allowed.</summary>
    [Parameter]
    [SupportsWildcards]
    [ValidateNotNullOrEmpty]
    public string[] IncludeContent { get; set; } = [];

    /// <summary>An image set that is already in the directory is replaced.</summary>
    [Parameter]
    public SwitchParameter Force { get; set; }

    /// <inheritdoc/>
    protected override void BeginProcessing()
    {
        if (LeaveRunning && LeaveStopped)
        {
            ThrowTerminating(new CriuException(
                "LeaveRunningOrStopped",
                CriuErrorKind.BadOption,
                "-LeaveRunning and -LeaveStopped contradict each other") { Remedy = "give one of them" });
        }
    }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        var pid = InputObject?.Id ?? Id;
        TryForInput(pid, () => Dump(OptionsFor(pid)));
    }

    private DumpOptions OptionsFor(int pid) => new()
    {
        Pid = pid,
        ImagesDirectory = ResolveNewPath(Path),
        FinalState = LeaveRunning ? FinalState.Run : LeaveStopped ? FinalState.Stop : FinalState.Kill,
        ShellJob = ShellJob,
        FileLocks = FileLocks,
        LinkRemap = LinkRemap,
        GhostLimit = GhostLimit,
        CpuCapabilities = CpuCapability == CpuCapabilities.None ? CpuCapability : CpuCapability | CpuCapabilities.Image,
        ExternalUnixSockets = ExtUnixSk,
        External = [.. External],
        UnsupportedFiles = UnsupportedFile,
        IncludedContent = [.. IncludeContent],
        Timeout = TimeSpan.FromSeconds(TimeoutSeconds),
        Force = Force,
    };

    private void Dump(DumpOptions options)
    {
        var (pid, path) = (options.Pid, options.ImagesDirectory);
        OnePathForEachTree(pid, path);
        var name = NameOf(pid);
        var fate = options.FinalState switch
        {
            FinalState.Run => "let it run on",
            FinalState.Stop => "leave it stopped",
            _ => "end it",
        };
        var what = $"Dump process {pid} ({name}) and its descendants to {path}, then {fate}";
        if (ShouldProcess(what, $"{what}?", "Invoke-CriuDump", out var reason))
        {
            WriteObject(RunOperation($"Dumping process {pid} ({name})", (events, stop) => new DumpOperation(options, events).Run(stop)));
        }
        else if (reason.HasFlag(ShouldProcessReason.WhatIf))
        {
            var refusals = RunOperation(
                $"Inspecting process {pid} ({name})",
                (events, stop) => new DumpOperation(options, events).Preflight(stop));
            WriteObject(refusals, enumerateCollection: true);
        }
    }

    // Two trees in one directory would be one image set, the later one's, and with -Force without a word.
    private void OnePathForEachTree(int pid, string path)
    {
        if (!_usedPaths.TryAdd(path, pid))
        {
            throw new CriuException(
                "PathUsedTwice",
                CriuErrorKind.BadOption,
                $"process {pid}: the directory {path} already takes the image set of process {_usedPaths[path]}")
            {
                Pid = pid,
                Subject = path,
                Remedy = "give each tree a directory of its own: ... | ForEach-Object { Invoke-CriuDump -Id $_.Id -Path \"images/$($_.Id)\" }",
            };
        }
    }

    private static string NameOf(int pid)
    {
        using var directory = new ProcDirectory(pid);
        return ProcAttributes.ReadComm(directory).ToString();
    }
}
