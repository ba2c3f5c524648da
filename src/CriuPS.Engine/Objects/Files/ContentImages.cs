using CriuPS.Engine.Images;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Options;
using CriuPS.Engine.Proc;
using Google.Protobuf;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// The dump's half of copies of files that have their names and were asked for: content, owner, mode and times, as of files without a name (<see cref="GhostFile"/>),
/// while the tree stands still. A restore uses them where it is told to; another program's passes over them.
/// </summary>
/// <param name="set">The image set.</param>
/// <param name="options">Which files are meant.</param>
/// <param name="cancellation">Ends the copying.</param>
internal sealed class ContentImages(ImageSet set, DumpOptions options, CancellationToken cancellation)
{
    private readonly ImageWriter _contents = set.CreateWriter(ImageType.CriupsContents);
    private readonly HashSet<OsText> _saved = [];

    /// <summary>Saves the content of a file, if it was asked for and is not saved yet.</summary>
    /// <param name="file">The file.</param>
    /// <param name="ghosts">Gives numbers.</param>
    public void Save(OpenFile file, RemapImages ghosts)
    {
        if (file.Kind != FileStatus.S_IFREG || ProcfsFile.IsIn(file.Link.Bytes) || !options.IncludedContent.Any(pattern => PathPattern.Fits(pattern, file.Link.Bytes))
            || LostName.Of(file) != NameState.Good || !_saved.Add(file.Link))
        {
            return;
        }

        uint ghost = ghosts.NextGhost();
        GhostFile.Save(set, ghost, file, cancellation);
        _contents.Write(new CriupsContentEntry
        {
            Path = ByteString.CopyFrom(file.Link.Bytes), GhostId = ghost, Seconds = (long)file.Status.st_mtime, Nanoseconds = (uint)file.Status.st_mtime_nsec,
            Size = (ulong)file.Status.st_size,
        });
    }
}
