using System.Management.Automation;
using CriuPS.Engine.Check;

namespace CriuPS.Commands;

/// <summary>Describes this machine's processor, or those that image sets were made on.</summary>
[Cmdlet(VerbsCommon.Get, "CriuCpuInfo")]
[OutputType(typeof(CpuInfo))]
public sealed class GetCriuCpuInfoCommand : CriuCmdlet
{
    /// <summary>Directories of image sets; this machine's processor is meant where none is given.</summary>
    [Parameter(Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [ValidateNotNullOrEmpty]
    public string[]? Path { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        foreach (var path in Path ?? [])
        {
            TryForInput(path, () => WriteObject(CpuInfo.Read(ResolveNewPath(path))));
        }

        // An empty pipeline asks for nothing, and never comes here.
        if (Path is null)
        {
            TryForInput(null, () => WriteObject(CpuInfo.Own()));
        }
    }
}
