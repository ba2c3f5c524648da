using System.Management.Automation;
using CriuPS.Engine.Options;
using CriuPS.Engine.Restore;

namespace CriuPS.Commands;

/// <summary>Brings process trees back from their image files.</summary>
[Cmdlet(VerbsLifecycle.Invoke, "CriuRestore", SupportsShouldProcess = true)]
[OutputType(typeof(RestoreResult))]
public sealed class InvokeCriuRestoreCommand : CriuCmdlet
{
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

    /// <inheritdoc/>
    protected override void ProcessRecord() => TryForInput(Path, () => Restore(ResolveNewPath(Path)));

    private void Restore(string path)
    {
        if (!ShouldProcess(path, "Restore the process tree"))
        {
            return;
        }

        var options = new RestoreOptions { ImagesDirectory = path, ShellJob = ShellJob };
        var result = RunOperation($"Restoring {path}", (events, stop) => new RestoreOperation(options, events).Run(stop));
        WriteObject(result);
        if (Wait)
        {
            ProcessEnd.Wait(result.Id, StopToken);
        }
    }
}
