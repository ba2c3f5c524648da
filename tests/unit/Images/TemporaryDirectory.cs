namespace CriuPS.Tests.Images;

/// <summary>A directory of a test's own, removed with everything in it.</summary>
internal sealed class TemporaryDirectory : IDisposable
{
    /// <summary>Its path.</summary>
    public string Path { get; } = Directory.CreateTempSubdirectory("criups-images-").FullName;

    /// <summary>A path below it.</summary>
    public string this[string name] => System.IO.Path.Join(Path, name);

    /// <inheritdoc/>
    public void Dispose() => Directory.Delete(Path, recursive: true);
}
