using System.Management.Automation;
using CriuPS.Engine.Check;

namespace CriuPS.Commands;

/// <summary>
/// Tells what this kernel and these privileges allow. Every feature is really tried, in short-lived processes of its own; nothing of that
/// remains.
/// </summary>
[Cmdlet(VerbsDiagnostic.Test, "CriuKernel")]
[OutputType(typeof(KernelFeature), typeof(bool))]
public sealed class TestCriuKernelCommand : CriuCmdlet
{
    private readonly HashSet<string> _wanted = new(StringComparer.Ordinal);
    private bool _unknown;

    /// <summary>Only these features and privileges; wildcards are allowed.</summary>
    [Parameter(Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("Name")]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(KernelFeatureCompleter))]
    [ValidateNotNullOrEmpty]
    public string[]? Feature { get; set; }

    /// <summary>Only true or false: whether all that was asked for works, or without -Feature all that is required.</summary>
    [Parameter]
    public SwitchParameter Quiet { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        foreach (string name in Feature ?? [])
        {
            TryForInput(name, () => Want(name));
        }
    }

    /// <inheritdoc/>
    protected override void EndProcessing()
    {
        // An empty pipeline asks for nothing, and not for everything.
        if (Feature is null && MyInvocation.ExpectingInput)
        {
            return;
        }

        IReadOnlyList<KernelFeature> features = RunOperation("Testing the kernel", (_, stop) => Run(stop));
        if (Quiet)
        {
            WriteObject(!_unknown && features.All(feature => feature.Supported));
        }
        else
        {
            WriteObject(features, enumerateCollection: true);
        }
    }

    private IReadOnlyList<KernelFeature> Run(CancellationToken stop) =>
        Feature is not null ? KernelCheck.Run(_wanted, stop) : Quiet ? KernelCheck.RunRequired(stop) : KernelCheck.Run(null, stop);

    private void Want(string name)
    {
        WildcardPattern pattern = WildcardPattern.Get(name, WildcardOptions.IgnoreCase);
        string[] found = [.. KernelCheck.Names.Where(pattern.IsMatch)];
        _wanted.UnionWith(found);
        if (found.Length == 0 && !WildcardPattern.ContainsWildcardCharacters(name))
        {
            _unknown = true;
            throw KernelCheck.Unknown(name);
        }
    }
}
