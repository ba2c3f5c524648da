using System.Collections;
using System.Management.Automation;
using CriuPS.Engine.Check;
using CriuPS.Engine.Errors;
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

    /// <summary>Where files are now: keys are beginnings of paths at the dump, values those at the restore.</summary>
    [Parameter]
    [ValidateNotNull]
    public IDictionary PathMap { get; set; } = new Hashtable();

    /// <summary>What is done with files that have changed: keys are patterns of paths, values Strict, Growth, Ignore or Saved.</summary>
    [Parameter]
    [ValidateNotNull]
    public IDictionary FilePolicy { get; set; } = new Hashtable();

    /// <summary>Datagram sockets are connected again with sockets outside of the tree that have names.</summary>
    [Parameter]
    public SwitchParameter ExtUnixSk { get; set; }

    /// <summary>Descriptors of the shell that take the places of saved files: keys are numbers, values names of files.</summary>
    [Parameter]
    [ValidateNotNull]
    public IDictionary InheritDescriptor { get; set; } = new Hashtable();

    /// <inheritdoc/>
    protected override void ProcessRecord() => TryForInput(Path, () => Restore(ResolveNewPath(Path)));

    private void Restore(string path)
    {
        if (!ShouldProcess(path, "Restore the process tree"))
        {
            return;
        }

        var options = OptionsFor(path);
        var result = RunOperation($"Restoring {path}", (events, stop) => new RestoreOperation(options, events).Run(stop));
        WriteObject(result);
        if (Wait)
        {
            ProcessEnd.Wait(result.Id, StopToken);
        }
    }

    private RestoreOptions OptionsFor(string path) => new()
    {
        ImagesDirectory = path,
        ShellJob = ShellJob,
        CpuCapabilities = CapabilitiesFor(path),
        MovedPaths = [.. Entries<string, string>(PathMap, "-PathMap").Select(e => new MovedPath(e.Key, e.Value))],
        FilePolicies = [.. Entries<string, ChangedFile>(FilePolicy, "-FilePolicy").Select(e => new FilePolicy(e.Key, e.Value))],
        ExternalUnixSockets = ExtUnixSk,
        InheritedDescriptors = [.. Entries<int, string>(InheritDescriptor, "-InheritDescriptor").Select(e => new InheritedDescriptor(e.Key, e.Value))],
    };

    private static IEnumerable<(TKey Key, TValue Value)> Entries<TKey, TValue>(IDictionary table, string parameter)
    {
        foreach (DictionaryEntry entry in table)
        {
            if (!LanguagePrimitives.TryConvertTo(entry.Key, out TKey key) || !LanguagePrimitives.TryConvertTo(entry.Value, out TValue value))
            {
                throw new CriuException("WrongTable", CriuErrorKind.BadOption, $"{parameter}: {entry.Key} = {entry.Value} is not understood")
                {
                    Subject = parameter, Remedy = "see Get-Help Invoke-CriuRestore -Parameter *",
                };
            }

            yield return (key, value);
        }
    }

    private CpuCapabilities CapabilitiesFor(string path)
    {
        var wanted = MyInvocation.BoundParameters.ContainsKey(nameof(CpuCapability)) || ProcessorImage.IsIn(path);
        return wanted && CpuCapability != CpuCapabilities.None ? CpuCapability | CpuCapabilities.Image : CpuCapability;
    }
}
