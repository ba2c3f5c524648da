using CriuPS.Engine.Errors;
using CriuPS.Engine.Images;
using CriuPS.Engine.Kernel;
using Google.Protobuf;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// A file without any name that travels in the images: owner, mode and times (stat(2)), and the content of a regular file, in chunks without its
/// holes. It is made again under its old path for the moment in which it is opened.
/// </summary>
internal static class GhostFile
{
    private const int BufferSize = 1 << 20, KernelMinorBits = 20;

    /// <summary>Saves a file.</summary>
    /// <param name="set">The image set.</param>
    /// <param name="id">The number of the ghost.</param>
    /// <param name="file">The file.</param>
    /// <param name="cancellation">Ends the copying.</param>
    public static void Save(ImageSet set, uint id, OpenFile file, CancellationToken cancellation)
    {
        FileStatus.stat status = file.Status;
        using ImageWriter writer = set.CreateWriter(ImageType.GhostFile, id);
        GhostFileEntry entry = new()
        {
            Uid = status.st_uid, Gid = status.st_gid, Mode = status.st_mode, Dev = KernelDevice(status.st_dev), Ino = status.st_ino,
            Atim = Time(status.st_atime, status.st_atime_nsec), Mtim = Time(status.st_mtime, status.st_mtime_nsec),
        };
        switch (file.Kind)
        {
            case FileStatus.S_IFLNK:
                using (SafeFileHandle link = OpenAt.Open(file.MagicLink, Fcntl.O_PATH))
                {
                    entry.SymlnkTarget = ByteString.CopyFrom(FileNames.ReadSymbolicLink(link));
                }

                writer.Write(entry);
                break;
            case FileStatus.S_IFREG:
                (entry.Chunks, entry.Size) = (true, (ulong)status.st_size);
                writer.Write(entry);
                SaveContent(writer, file, cancellation);
                break;
            default:
                if (IsDevice(file.Kind))
                {
                    entry.Rdev = (uint)status.st_rdev;
                }

                writer.Write(entry);
                break;
        }
    }

    /// <summary>Reads what a ghost is, without its content.</summary>
    /// <exception cref="CriuException">It is not in the images, or of a kind that is not supported.</exception>
    public static GhostFileEntry Read(ImageSet set, uint id)
    {
        GhostFileEntry entry = set.ReadSingle<GhostFileEntry>(ImageType.GhostFile, id);
        uint kind = entry.Mode & FileStatus.S_IFMT;
        return kind is FileStatus.S_IFREG or FileStatus.S_IFDIR or FileStatus.S_IFLNK or FileStatus.S_IFIFO || (IsDevice(kind) && entry.HasRdev)
            ? entry
            : throw new CriuException("FileKindNotSupported", CriuErrorKind.NotSupported, $"ghost file {id:x} is a deleted socket, which is not supported");
    }

    private static bool IsDevice(uint kind) => kind is FileStatus.S_IFCHR or FileStatus.S_IFBLK;

    /// <summary>Makes the file, still empty, under a name that is free.</summary>
    /// <returns>0 or an errno.</returns>
    public static int TryMake(GhostFileEntry entry, ReadOnlySpan<byte> path, out SafeFileHandle? file)
    {
        int errno;
        uint kind = entry.Mode & FileStatus.S_IFMT;
        if (kind == FileStatus.S_IFREG)
        {
            file = FileNames.TryCreate(path, out errno);
            return errno;
        }

        file = null;
        errno = kind switch
        {
            FileStatus.S_IFDIR => FileNames.TryMakeDirectory(path, entry.Mode & InodeAttributes.PermissionBits),
            FileStatus.S_IFLNK => FileNames.TryMakeSymbolicLink(entry.SymlnkTarget.Span, path),
            _ => FileNames.TryMakeNode(path, kind, entry.Rdev),
        };
        file = errno != 0 ? null : OpenAt.TryOpen(null, CString.From(path), Fcntl.O_PATH | Fcntl.O_NOFOLLOW, out errno);
        return errno;
    }

    /// <summary>Gives a new file its content, owner, mode and times. All goes by the descriptor: who may write to the directory may change names.</summary>
    public static void Fill(ImageSet set, uint id, SafeFileHandle file, CancellationToken cancellation)
    {
        using ImageReader reader = set.OpenReader(ImageType.GhostFile, id)!;
        GhostFileEntry entry = reader.Read<GhostFileEntry>()!;
        uint kind = entry.Mode & FileStatus.S_IFMT;
        if ((FileStatus.Of(file).st_mode & FileStatus.S_IFMT) != kind)
        {
            throw new CriuException("FileChanged", CriuErrorKind.Busy, $"the file that was made for ghost {id:x} has been replaced by another one");
        }

        if (kind == FileStatus.S_IFREG)
        {
            RestoreContent(reader, entry, file, cancellation);
        }

        InodeAttributes.SetOwner(file, entry.Uid, entry.Gid);
        if (kind != FileStatus.S_IFLNK)
        {
            InodeAttributes.SetMode(file, entry.Mode);
        }

        if (entry.Atim is { } access && entry.Mtim is { } modification)
        {
            InodeAttributes.SetTimes(file, Time(access), Time(modification));
        }
    }

    private static void SaveContent(ImageWriter writer, OpenFile file, CancellationToken cancellation)
    {
        using SafeFileHandle source = OpenAt.Open(file.MagicLink, Fcntl.O_RDONLY);
        foreach ((long start, long end) in DataRanges.Of(source, file.Status.st_size))
        {
            writer.Write(new GhostChunkEntry { Off = (ulong)start, Len = (ulong)(end - start) });
            SafeFileHandle image = writer.Handle();
            long copied = FileCopy.Copy(source, start, image, writer.Length, end - start, file.ToString(), cancellation);
            if (copied != end - start)
            {
                throw new CriuException("FileChanged", CriuErrorKind.Busy, $"{file} has become shorter while it was saved") { Subject = file.ToString() };
            }

            writer.Advance(copied);
            Fcntl.Seek(image, writer.Length);
        }
    }

    private static void RestoreContent(ImageReader reader, GhostFileEntry entry, SafeFileHandle file, CancellationToken cancellation)
    {
        byte[] buffer = System.Buffers.ArrayPool<byte>.Shared.Rent(BufferSize);
        try
        {
            if (!entry.Chunks)
            {
                Restore(reader, file, 0, buffer, cancellation);
                return;
            }

            InodeAttributes.SetLength(file, (long)entry.Size);
            while (reader.Read<GhostChunkEntry>() is { } chunk)
            {
                Restore(reader, file, (long)chunk.Off, buffer, cancellation);
            }
        }
        finally
        {
            System.Buffers.ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static void Restore(ImageReader reader, SafeFileHandle file, long offset, byte[] buffer, CancellationToken cancellation)
    {
        for (int part; (part = reader.ReadPayload(buffer)) > 0; offset += part)
        {
            cancellation.ThrowIfCancellationRequested();
            if (FileAt.TryWriteAllAt(file, buffer.AsSpan(0, part), offset) is not 0 and int errno)
            {
                throw new KernelException("write of a deleted file that is made again", errno) { Remedy = ImageWriter.RemedyFor(errno) };
            }
        }
    }

    private static Timeval Time(ulong seconds, ulong nanoseconds) => new() { TvSec = seconds, TvUsec = nanoseconds / 1000 };

    private static timespec Time(Timeval time) => new() { tv_sec = (long)time.TvSec, tv_nsec = (long)time.TvUsec * 1000 };

    /// <summary>A device number of stat(2) in the form in which the kernel, and images, keep it (include/linux/kdev_t.h, MKDEV).</summary>
    public static uint KernelDevice(ulong device)
    {
        ulong major = ((device >> 8) & 0xfff) | ((device >> 32) & ~0xfffUL), minor = (device & 0xff) | ((device >> 12) & ~0xffUL);
        return (uint)((major << KernelMinorBits) | (minor & ((1 << KernelMinorBits) - 1)));
    }
}
