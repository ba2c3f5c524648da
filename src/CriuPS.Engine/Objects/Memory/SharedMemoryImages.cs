using CriuPS.Engine.Images;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects.Files;
using Google.Protobuf;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Memory;

/// <summary>
/// The dump's half of shared memory: each object once, whoever maps it or has it open. fstat(2) and F_GET_SEALS tell what belongs to it besides
/// its pages. CRIU 4.2 writes shared anonymous memory in this form too.
/// </summary>
/// <param name="set">The image set.</param>
/// <param name="cancellation">Ends the copying of pages.</param>
internal sealed class SharedMemoryImages(ImageSet set, CancellationToken cancellation)
{
    private readonly Dictionary<(ulong Device, ulong Inode), uint> _ids = [];
    private readonly HashSet<uint> _pageMaps = [];
    private readonly ImageWriter _inodes = set.CreateWriter(ImageType.MemFdInode);

    /// <summary>How many pages have been saved.</summary>
    public long Pages { get; private set; }

    /// <summary>Saves an object unless that is done already.</summary>
    /// <param name="file">Any way in which it is open, or a mapping of it.</param>
    /// <returns>Its number in the images.</returns>
    public uint Save(OpenFile file)
    {
        var key = (file.Status.st_dev, file.Status.st_ino);
        if (_ids.TryGetValue(key, out uint id))
        {
            return id;
        }

        using SafeFileHandle handle = OpenAt.Open(file.MagicLink, Fcntl.O_RDONLY);
        id = _ids[key] = (uint)_ids.Count + 1;
        FileStatus.stat status = FileStatus.Of(handle);
        MemfdInodeEntry entry = new()
        {
            InodeId = id, Name = ByteString.CopyFrom(SharedMemory.NameOf(file.Link)), Uid = status.st_uid, Gid = status.st_gid, Mode = status.st_mode,
            Size = (ulong)status.st_size, Shmid = PageMapId(status.st_ino), Seals = (uint)Fcntl.Control(handle, MemFd.F_GET_SEALS),
        };
        if (HugePages.SizeOf(status.st_dev) is not 0 and long pageSize)
        {
            entry.HugetlbFlag = MemFd.MFD_HUGETLB | HugePages.FlagOf(pageSize);
        }

        Pages += status.st_size == 0 ? 0 : SharedPages.Save(set, entry.Shmid, handle, status, cancellation);
        _inodes.Write(entry);
        return id;
    }

    // By habit the inode's number, of which images keep 32 bits.
    private uint PageMapId(ulong inode)
    {
        uint id = (uint)inode;
        while (!_pageMaps.Add(id))
        {
            id++;
        }

        return id;
    }
}
