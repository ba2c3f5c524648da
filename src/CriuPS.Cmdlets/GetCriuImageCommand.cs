using System.Management.Automation;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Images;

namespace CriuPS.Commands;

/// <summary>
/// Shows what is in the files of a checkpoint: one object for each entry. A file that is damaged gives an error that names file and offset;
/// its entries before that place and all other files are shown nevertheless.
/// </summary>
[Cmdlet(VerbsCommon.Get, "CriuImage", DefaultParameterSetName = PathSet)]
[OutputType(ImageObject.TypeName)]
public sealed class GetCriuImageCommand : CriuCmdlet
{
    private const string PathSet = "Path";
    private const string LiteralPathSet = "LiteralPath";

    private readonly ImageInspector _inspector = new();
    private WildcardPattern[]? _types;

    /// <summary>Directories of checkpoints, or single image files; wildcards are allowed.</summary>
    [Parameter(Mandatory = true, Position = 0, ParameterSetName = PathSet, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [SupportsWildcards]
    [ValidateNotNullOrEmpty]
    public string[] Path { get; set; } = [];

    /// <summary>Directories or files whose names are taken as they are.</summary>
    [Parameter(Mandatory = true, ParameterSetName = LiteralPathSet, ValueFromPipelineByPropertyName = true)]
    [Alias("PSPath", "FullName")]
    [ValidateNotNullOrEmpty]
    public string[] LiteralPath { get; set; } = [];

    /// <summary>Only these kinds of images, by name, e.g. CORE or MM; wildcards are allowed.</summary>
    [Parameter]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(ImageTypeCompleter))]
    [ValidateNotNullOrEmpty]
    public string[]? Type { get; set; }

    /// <summary>Only images with these ids in their names: of a process, a task, a namespace, an object.</summary>
    [Parameter]
    public ulong[]? Id { get; set; }

    /// <inheritdoc/>
    protected override void BeginProcessing()
    {
        _types = Type?.Select(name => WildcardPattern.Get(name, WildcardOptions.IgnoreCase)).ToArray();
        foreach (string name in Type ?? [])
        {
            if (!WildcardPattern.ContainsWildcardCharacters(name) && !ImageType.All.Any(type => Same(type.Name, name)))
            {
                ThrowTerminating(new CriuException("UnknownImageType", CriuErrorKind.BadOption, $"there is no kind of image named {name}")
                {
                    Subject = name,
                    Remedy = "use one of: " + string.Join(", ", ImageType.All.Select(type => type.Name).Distinct().Order()),
                });
            }
        }
    }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        foreach (string path in ParameterSetName == PathSet ? Path : LiteralPath)
        {
            TryForInput(path, () =>
            {
                foreach (string found in ParameterSetName == PathSet ? ResolveWildcard(path) : [ResolveNewPath(path)])
                {
                    TryForInput(found, () => Show(found));
                }
            });
        }
    }

    private void Show(string path)
    {
        if (!Directory.Exists(path))
        {
            ImageFile file = _inspector.Identify(path);
            ShowIfWanted(path, file);
            return;
        }

        IReadOnlyList<ImageFile> files = _inspector.ListFiles(path);
        if (files.Count == 0)
        {
            throw new CriuException("NoImages", CriuErrorKind.NotFound, $"there is no image file in {path}") { Subject = path };
        }

        foreach (ImageFile file in files)
        {
            string full = System.IO.Path.Join(path, file.Name);
            TryForInput(full, () => ShowIfWanted(full, file));
        }
    }

    private void ShowIfWanted(string path, ImageFile file)
    {
        if (!IsWanted(file))
        {
            return;
        }

        foreach (ImageEntry entry in _inspector.Read(path, file.Type, file.Id))
        {
            StopToken.ThrowIfCancellationRequested();
            WriteObject(ImageObject.From(entry));
        }
    }

    private bool IsWanted(ImageFile file) =>
        (_types is null || _types.Any(pattern => pattern.IsMatch(file.Type.Name)))
        && (Id is null || (file.Id is { } id && Id.Contains(id)));

    private static bool Same(string one, string other) => string.Equals(one, other, StringComparison.OrdinalIgnoreCase);
}
