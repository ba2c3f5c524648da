using System.Management.Automation;
using CriuPS.Engine.Check;
using CriuPS.Engine.Options;
using CriuPS.Engine.Restore;

namespace CriuPS.Commands;

/// <summary>Brings process trees back from their image files.</summary>
[Cmdlet(VerbsLifecycle.Invoke, "CriuRestore", SupportsShouldProcess = true)]
[OutputType(typeof(RestoreResult))]
public sealed class InvokeCriuRestoreCommand : CriuCmdlet
{
    // A field of the engine's own type would be needed before the module can tell where the engine is.
    private uint _parts = (uint)CpuCapabilities.Default;

    /// <summary>The directory of the image set.</summary>
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [ValidateNotNullOrEmpty]
    public string Path { get; set; } = "";

    /// <summary>Returns only when the restored root has ended.</summary>
    [Parameter]
    public SwitchParameter Wait { get; set; }

    /// <summary>The root may join the session and the terminal of the shell.</summary>
    [Parameter]
    public SwitchParameter ShellJob { get; set; }

    /// <summary>What of the processor is compared with the description in the image set; nothing, where the set has none and nothing is said here.</summary>
    [Parameter]
    public CpuCapabilities CpuCapability { get => (CpuCapabilities)_parts; set => _parts = (uint)value; }

    /// <inheritdoc/>
    protected override void ProcessRecord() => TryForInput(Path, () => Restore(ResolveNewPath(Path)));

    private void Restore(string path)
    {
        if (!ShouldProcess(path, "Restore the process tree"))
        {
            return;
        }

        var options = new RestoreOptions { ImagesDirectory = path, ShellJob = ShellJob, CpuCapabilities = CapabilitiesFor(path) };
        var result = RunOperation($"Restoring {path}", (events, stop) => new RestoreOperation(options, events).Run(stop));
        WriteObject(result);
        if (Wait)
        {
            ProcessEnd.Wait(result.Id, StopToken);
        }
    }

    private CpuCapabilities CapabilitiesFor(string path)
    {
        var wanted = MyInvocation.BoundParameters.ContainsKey(nameof(CpuCapability)) || ProcessorImage.IsIn(path);
        return wanted && CpuCapability != CpuCapabilities.None ? CpuCapability | CpuCapabilities.Image : CpuCapability;
    }
}
