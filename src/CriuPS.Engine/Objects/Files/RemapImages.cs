using System.Text;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Images;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Options;
using Google.Protobuf;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// The dump's half of files that have lost their name. A remap says where the content of a file entry is: in a ghost file, or under another name that is
/// given to it (linkat(2) with AT_EMPTY_PATH) because the kernel does not tell those that it has. Such a name stays until the restore; a dump that
/// fails takes it back.
/// </summary>
/// <param name="set">The image set.</param>
/// <param name="options">Whether names may be given.</param>
/// <param name="cancellation">Ends the copying of content.</param>
internal sealed class RemapImages(ImageSet set, DumpOptions options, CancellationToken cancellation)
{
    private const int Tries = 1000;

    private readonly Dictionary<(ulong Device, ulong Inode), uint> _ghosts = [];
    private readonly Dictionary<(ulong Device, ulong Inode), uint> _links = [];
    private uint _lastGhost;
    private readonly ImageWriter _remaps = set.CreateWriter(ImageType.RemapFilePath);

    /// <summary>Saves how a file is found again; nothing for one whose name is good.</summary>
    /// <param name="file">The file.</param>
    /// <param name="id">Its entry.</param>
    /// <param name="images">Takes the entry of a new name.</param>
    public void Save(OpenFile file, uint id, FileImages images)
    {
        if (ProcfsFile.EndedProcess(file) is not 0 and int ended)
        {
            _remaps.Write(new RemapFilePathEntry { OrigId = id, RemapId = (uint)ended, RemapType = RemapType.Procfs });
            return;
        }

        if (!LostName.MayBe(file) || LostName.Of(file) == NameState.Good)
        {
            return;
        }

        if (LostName.MayLink(file, options) && LinkOf(file, images) is { } link)
        {
            _remaps.Write(new RemapFilePathEntry { OrigId = id, RemapId = link, RemapType = RemapType.Linked });
            return;
        }

        var key = (file.Status.st_dev, file.Status.st_ino);
        if (!_ghosts.TryGetValue(key, out uint ghost))
        {
            ghost = _ghosts[key] = NextGhost();
            GhostFile.Save(set, ghost, file, cancellation);
        }

        _remaps.Write(new RemapFilePathEntry { OrigId = id, RemapId = ghost, RemapType = RemapType.Ghost });
    }

    /// <summary>A number for a file whose content goes into the images.</summary>
    public uint NextGhost() => ++_lastGhost;

    private uint? LinkOf(OpenFile file, FileImages images)
    {
        var key = (file.Status.st_dev, file.Status.st_ino);
        if (!_links.TryGetValue(key, out uint id))
        {
            id = images.NextId();
            if (MakeLink(file, id) is not { } path)
            {
                return null;
            }

            set.AlsoDiscard($"unlink of {new Proc.OsText(path).ToDisplayString()}", () => FileNames.TryUnlink(path));
            _links[key] = id;
            images.Write(new FileEntry
            {
                Type = FdTypes.Reg, Id = id,
                Reg = new RegFileEntry { Id = id, Flags = 0, Pos = 0, Fown = FileOwner.None(), Name = ByteString.CopyFrom(path) },
            });
        }

        return id;
    }

    // In the directory of the lost name, or the nearest one above it that is still there. On an overlay a file of a lower layer cannot be
    // linked although it has a name (ENOENT everywhere): there its content is saved.
    private static byte[]? MakeLink(OpenFile file, uint id)
    {
        using SafeFileHandle handle = OpenAt.Open(file.MagicLink, Fcntl.O_PATH);
        ReadOnlySpan<byte> name = LostName.NameOf(file);
        for (int end = name.LastIndexOf((byte)'/'); end >= 0; end = name[..end].LastIndexOf((byte)'/'))
        {
            for (int number = (int)id; number < id + Tries; number++)
            {
                byte[] path = [.. name[..end], .. Encoding.UTF8.GetBytes($"/link_remap.{number}")];
                int errno = FileNames.TryLink(handle, path);
                if (errno == 0)
                {
                    return path;
                }

                if (errno == Errno.ENOENT)
                {
                    break;
                }

                if (errno != Errno.EEXIST)
                {
                    throw new KernelException($"link of {file} to {new Proc.OsText(path).ToDisplayString()}", errno) { Subject = file.ToString() };
                }
            }
        }

        return null;
    }
}
