using System.Reflection;
using System.Runtime.Loader;

namespace CriuPS.Commands.Loading;

/// <summary>
/// Where the engine and what it needs are loaded, apart from the assemblies of other modules in the same shell, which may bring
/// another version of Google.Protobuf.
/// </summary>
/// <param name="folder">The folder <c>dependencies</c> of the module.</param>
internal sealed class DependencyContext(string folder) : AssemblyLoadContext("CriuPS")
{
    /// <summary>Loads one of our assemblies; null sends the runtime to the shared context, which has .NET's own.</summary>
    protected override Assembly? Load(AssemblyName assemblyName)
    {
        var path = Path.Combine(folder, $"{assemblyName.Name}.dll");
        return File.Exists(path) ? LoadFromAssemblyPath(path) : null;
    }

    /// <summary>Loads the native libraries of our assemblies from the same folder.</summary>
    protected override nint LoadUnmanagedDll(string unmanagedDllName)
    {
        var path = Path.Combine(folder, unmanagedDllName);
        return File.Exists(path) ? LoadUnmanagedDllFromPath(path) : 0;
    }
}
