using System.Management.Automation;
using CriuPS.Engine.Check;
using CriuPS.Engine.Options;

namespace CriuPS.Commands;

/// <summary>Tells whether this machine's processor is fit for the processes of image sets, and what it lacks.</summary>
[Cmdlet(VerbsDiagnostic.Test, "CriuCpuInfo")]
[OutputType(typeof(CpuComparison), typeof(bool))]
public sealed class TestCriuCpuInfoCommand : CriuCmdlet
{
    // A field of the engine's own type would be needed before the module can tell where the engine is.
    private uint _parts = (uint)CpuCapabilities.Default;

    private bool _fit = true;

    /// <summary>Directories of image sets.</summary>
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [ValidateNotNullOrEmpty]
    public string[] Path { get; set; } = [];

    /// <summary>What is compared.</summary>
    [Parameter]
    public CpuCapabilities CpuCapability { get => (CpuCapabilities)_parts; set => _parts = (uint)value; }

    /// <summary>Only true or false: whether it is fit for all of them.</summary>
    [Parameter]
    public SwitchParameter Quiet { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        foreach (var path in Path)
        {
            if (!TryForInput(path, () => Compare(ResolveNewPath(path))))
            {
                _fit = false;
            }
        }
    }

    /// <inheritdoc/>
    protected override void EndProcessing()
    {
        if (Quiet)
        {
            WriteObject(_fit);
        }
    }

    private void Compare(string path)
    {
        var comparison = CpuComparison.With(path, CpuCapability);
        _fit &= comparison.IsFit;
        if (!Quiet)
        {
            WriteObject(comparison);
        }
    }
}
