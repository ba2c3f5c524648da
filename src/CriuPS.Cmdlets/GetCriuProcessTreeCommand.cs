using System.Management.Automation;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Proc;

namespace CriuPS.Commands;

/// <summary>
/// Shows processes with their descendants, parents first. Without -Id all processes. Several processes that are asked for share one look at
/// the system, and each process is shown once.
/// </summary>
[Cmdlet(VerbsCommon.Get, "CriuProcessTree")]
[OutputType(typeof(ProcessNode))]
public sealed class GetCriuProcessTreeCommand : CriuCmdlet
{
    // A duplicate is dropped, the order is kept: trees come out in the order they were asked for.
    private readonly OrderedDictionary<int, bool> _wanted = [];

    /// <summary>The processes whose trees to show.</summary>
    [Parameter(Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("ProcessId", "Pid")]
    [ValidateRange(1, int.MaxValue)]
    public int[]? Id { get; set; }

    /// <summary>Also read executable, working directory, task ids, mappings and open descriptors.</summary>
    [Parameter]
    public SwitchParameter Detailed { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        foreach (int id in Id ?? [])
        {
            _wanted.TryAdd(id, true);
        }
    }

    /// <inheritdoc/>
    protected override void EndProcessing()
    {
        // An empty pipeline asks for nothing, and not for everything.
        if (Id is null && MyInvocation.ExpectingInput)
        {
            return;
        }

        try
        {
            ProcessTree tree = ProcessTree.Read();
            ReportMissing(tree);
            Show(tree, Id is null ? tree.Walk() : tree.Walk(_wanted.Keys));
        }
        catch (CriuException e)
        {
            ThrowTerminating(e);
        }
        catch (OperationCanceledException) when (StopToken.IsCancellationRequested)
        {
            throw new PipelineStoppedException();
        }
    }

    private void ReportMissing(ProcessTree tree)
    {
        foreach (int id in _wanted.Keys.Where(id => !tree.Contains(id)))
        {
            var gone = new CriuException("ProcessGone", CriuErrorKind.NotFound, $"process {id} does not exist")
            {
                Pid = id,
                Remedy = "it has ended, or the number belongs to another pid namespace or to a thread",
            };
            WriteError(CriuErrorRecord.From(gone, id));
        }
    }

    private void Show(ProcessTree tree, IEnumerable<(int Pid, int Depth)> walk)
    {
        int denied = 0;
        foreach ((int pid, int depth) in walk)
        {
            StopToken.ThrowIfCancellationRequested();
            TryForInput(pid, () =>
            {
                if (tree.Describe(pid, depth, Detailed) is { } node)
                {
                    denied += node.DetailsDenied ? 1 : 0;
                    WriteObject(node);
                }
            });
        }

        if (denied > 0)
        {
            WriteWarning($"{denied} of the processes belong to other users: they are shown without mappings and descriptors");
        }
    }
}
