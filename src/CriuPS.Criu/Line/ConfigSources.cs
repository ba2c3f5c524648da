using CriuPS.Engine.Errors;
using CriuPS.Engine.Options;

namespace CriuPS.Criu.Line;

/// <summary>Which configuration files are read, the weakest first; what the command line says is stronger than all of them.</summary>
internal static class ConfigSources
{
    private const string SystemFile = "/etc/criu/default.conf", UserFile = ".criu/default.conf", Variable = "CRIU_CONFIG_FILE";

    /// <summary>The options of all files.</summary>
    /// <param name="explicitFile">The file of --config: it takes the place of the default ones, and must be there.</param>
    /// <param name="defaults">Whether the default files are read.</param>
    /// <exception cref="CriuException">A file cannot be read or understood.</exception>
    public static IEnumerable<NamedOption> Read(string? explicitFile, bool defaults)
    {
        List<string?> files = [];
        if (defaults && explicitFile is null)
        {
            files.Add(SystemFile);
            files.Add(Environment.GetEnvironmentVariable("HOME") is { Length: > 0 } home ? Path.Join(home, UserFile) : null);
        }

        files.Add(Environment.GetEnvironmentVariable(Variable));
        IEnumerable<NamedOption> options = files.Where(File.Exists).SelectMany(file => ConfigFile.Read(file!));
        return explicitFile is null ? options : options.Concat(ConfigFile.Read(explicitFile));
    }
}
