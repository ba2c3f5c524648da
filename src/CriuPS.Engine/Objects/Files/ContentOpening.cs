using CriuPS.Engine.Errors;
using CriuPS.Engine.Images;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;
using Google.Protobuf;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// The restore's half of copies of files. A file that is not as its copy is made anew beside its place and takes that by rename(2), so that nobody ever sees half of
/// it, and who has the other one open keeps that. What was there stays beside it until the restore has succeeded, and comes back if it fails.
/// </summary>
/// <param name="set">The image set.</param>
/// <param name="paths">Where files are now.</param>
/// <param name="cancellation">Ends the copying.</param>
internal sealed class ContentOpening(ImageSet set, PathMap paths, CancellationToken cancellation)
{
    private readonly Dictionary<ByteString, CriupsContentEntry> _wanted = [];
    private readonly Stack<(byte[] Path, byte[]? Before)> _written = new();
    private Dictionary<ByteString, CriupsContentEntry>? _all;

    /// <summary>Asks for a file to be as its copy is.</summary>
    /// <exception cref="CriuException">The set has no copy of it.</exception>
    public void WriteBack(ByteString path)
    {
        _all ??= set.ReadAll<CriupsContentEntry>(ImageType.CriupsContents).ToDictionary(c => paths.Apply(c.Path));
        _wanted[path] = _all.GetValueOrDefault(path) ?? throw new CriuException("ContentMissing", CriuErrorKind.NotFound, $"the image set has no copy of {Show(path.Span)}")
        {
            Subject = Show(path.Span), Remedy = "dump with -IncludeContent (--include-content), or choose another policy for the file",
        };
    }

    /// <summary>Writes what was asked for, where it is not there already.</summary>
    /// <exception cref="CriuException">A file cannot be written.</exception>
    public void Write()
    {
        foreach ((ByteString path, CriupsContentEntry content) in _wanted)
        {
            bool exists = FileStatus.TryOf(path.Span, out FileStatus.stat now, out int errno, followLinks: false);
            if (!exists && errno != Errno.ENOENT)
            {
                throw Failure("stat", path.Span, errno);
            }

            if (!exists || (long)now.st_mtime != content.Seconds || (uint)now.st_mtime_nsec != content.Nanoseconds || (ulong)now.st_size != content.Size)
            {
                Write(path.ToByteArray(), content, exists);
            }
        }
    }

    /// <summary>The restore has succeeded: nothing will be taken back, and what was there before goes.</summary>
    /// <returns>A failure for each file that could not be removed.</returns>
    public IReadOnlyList<KernelException> Keep()
    {
        byte[][] before = [.. _written.Select(written => written.Before).OfType<byte[]>()];
        _written.Clear();
        return TemporaryNames.RemoveEach(before);
    }

    /// <summary>The restore has failed: what was there is there again.</summary>
    public void TakeBack()
    {
        while (_written.TryPop(out (byte[] Path, byte[]? Before) written))
        {
            int errno = written.Before is { } before ? FileNames.TryRename(before, written.Path) : FileNames.TryUnlink(written.Path);
            if (errno != 0)
            {
                throw Failure("taking back", written.Path, errno);
            }
        }
    }

    private void Write(byte[] path, CriupsContentEntry content, bool exists)
    {
        byte[] made = [.. path, .. ".criups-new"u8], before = [.. path, .. ".criups-old"u8];
        using (SafeFileHandle file = FileNames.TryCreate(made, out int errno) ?? throw Failure("creating", made, errno))
        {
            try
            {
                GhostFile.Fill(set, content.GhostId, file, cancellation);
                InodeAttributes.SetTimes(
                    file, new timespec { tv_sec = content.Seconds, tv_nsec = content.Nanoseconds }, new timespec { tv_sec = content.Seconds, tv_nsec = content.Nanoseconds });
            }
            catch
            {
                FileNames.TryUnlink(made);
                throw;
            }
        }

        if (exists)
        {
            Rename(path, before);
            _written.Push((path, before));
        }

        Rename(made, path);
        if (!exists)
        {
            _written.Push((path, null));
        }
    }

    private static void Rename(byte[] from, byte[] to)
    {
        if (FileNames.TryRename(from, to) is not 0 and int errno)
        {
            throw Failure("rename", from, errno);
        }
    }

    private static KernelException Failure(string what, ReadOnlySpan<byte> path, int errno) =>
        new($"{what} of {Show(path)}", errno) { Subject = Show(path), Remedy = ImageWriter.RemedyFor(errno) };

    private static string Show(ReadOnlySpan<byte> path) => new OsText(path).ToDisplayString();
}
