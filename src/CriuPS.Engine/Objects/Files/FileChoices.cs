using CriuPS.Engine.Options;

namespace CriuPS.Engine.Objects.Files;

/// <summary>What whoever restores has chosen for the files of an image set.</summary>
/// <param name="options">What the restore is asked to do.</param>
internal sealed class FileChoices(RestoreOptions options)
{
    private readonly FilePolicy[] _policies = [.. options.FilePolicies.OrderByDescending(p => p.Pattern.Length)];

    /// <summary>Files that take the places of saved ones.</summary>
    public InheritedFiles Inherited { get; } = new(options.InheritedDescriptors);

    /// <summary>Where files are now.</summary>
    public PathMap Paths { get; } = options.MovedPaths.IsEmpty ? PathMap.None : new PathMap(options.MovedPaths);

    /// <summary>Nothing has been chosen.</summary>
    public static FileChoices None { get; } = new(new RestoreOptions());

    /// <summary>Whether the other end of a pipe may be outside.</summary>
    public bool PipesMayEndOutside => options.PipesMayEndOutside;

    /// <summary>Whether datagram sockets are connected again with sockets outside that have names.</summary>
    public bool SocketsMayEndOutside => options.ExternalUnixSockets;

    /// <summary>Whether build ids are compared.</summary>
    public bool ComparesBuilds => options.FileValidation == FileValidation.BuildId;

    /// <summary>Whether permissions are compared.</summary>
    public bool ComparesPermissions => !options.SkipFileModeCheck;

    /// <summary>What is done with a file that has changed.</summary>
    /// <param name="path">Where it is now.</param>
    public ChangedFile PolicyFor(ReadOnlySpan<byte> path)
    {
        foreach (FilePolicy policy in _policies)
        {
            if (PathPattern.Fits(policy.Pattern, path))
            {
                return policy.Change;
            }
        }

        return ChangedFile.Strict;
    }
}
