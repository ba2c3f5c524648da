using System.Management.Automation;
using System.Reflection;
using System.Runtime.Loader;

namespace CriuPS.Commands.Loading;

/// <summary>Run by PowerShell when the module is imported and removed: it answers this assembly's request for the engine.</summary>
public sealed class ModuleInitializer : IModuleAssemblyInitializer, IModuleAssemblyCleanup
{
    private const string Engine = "CriuPS.Engine";

    // One for the life of the shell: a type that was loaded twice would be two types. An assembly cannot be unloaded
    // from the shared context either, so a later import of the module finds both again.
    private static readonly DependencyContext Dependencies =
        new(Path.Combine(Path.GetDirectoryName(typeof(ModuleInitializer).Assembly.Location)!, "dependencies"));

    /// <inheritdoc/>
    public void OnImport() => AssemblyLoadContext.Default.Resolving += Resolve;

    /// <inheritdoc/>
    public void OnRemove(PSModuleInfo psModuleInfo) => AssemblyLoadContext.Default.Resolving -= Resolve;

    // The shared context asks whenever it does not find something. Nobody else has our engine, so its name is ours alone; its own
    // dependencies are asked for by the engine in its own context and never come here.
    private static Assembly? Resolve(AssemblyLoadContext context, AssemblyName name) =>
        name.Name == Engine ? Dependencies.LoadFromAssemblyName(name) : null;
}
