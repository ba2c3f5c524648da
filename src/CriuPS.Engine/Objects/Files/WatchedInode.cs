using System.Runtime.InteropServices;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;
using Google.Protobuf;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// An inode that is watched for events. The kernel keeps the inode and no name; fdinfo gives its handle, open_by_handle_at(2) opens it, and the link of
/// that descriptor in /proc is a name of it.
/// </summary>
internal static class WatchedInode
{
    /// <summary>Words that CRIU has room for in the handle of an image.</summary>
    private const int HandleWords = 16;

    private const int MinorBits = 20, LongestName = 4096;

    /// <summary>open_by_handle_at(2) takes no O_PATH descriptor for a file system.</summary>
    private const int ToFind = Fcntl.O_RDONLY | Fcntl.O_NONBLOCK | Fcntl.O_NOCTTY;

    /// <summary>Finds a name of an inode.</summary>
    /// <param name="pid">A process whose mounts are looked at.</param>
    /// <param name="device">The device as fdinfo has it: major number times 2^20 plus minor number.</param>
    /// <param name="inode">The inode's number.</param>
    /// <param name="handle">Its handle; null where its file system has none.</param>
    /// <returns>A path that leads to it now; null where there is none.</returns>
    public static OsText? FindName(int pid, uint device, ulong inode, FileHandle? handle)
    {
        if (handle is null)
        {
            return null;
        }

        using ProcDirectory proc = new(pid);
        foreach (MountInfo mount in MountInfo.Read(proc).Where(m => ((m.DeviceMajor << MinorBits) | m.DeviceMinor) == device))
        {
            using SafeFileHandle? root = OpenAt.TryOpen(null, CString.From(mount.MountPoint.Bytes), ToFind, out _);
            if (root is null)
            {
                continue;
            }

            using SafeFileHandle? found = FileHandles.TryOpen(root, handle.Type, handle.Bytes, Fcntl.O_PATH, out _);
            if (found is not null && NameOf(found) is { } name && LeadsTo(name, inode))
            {
                return name;
            }
        }

        return null;
    }

    /// <summary>The handle as images keep it.</summary>
    public static FhEntry Save(FileHandle? handle, OsText name)
    {
        FhEntry entry = new() { Bytes = (uint)(handle?.Bytes.Length ?? 0), Type = (uint)(handle?.Type ?? 0), Path = ByteString.CopyFrom(name.Bytes) };
        ulong[] words = new ulong[HandleWords];
        handle?.Bytes.CopyTo(MemoryMarshal.AsBytes(words.AsSpan()));
        entry.Handle.AddRange(words);
        return entry;
    }

    private static OsText? NameOf(SafeFileHandle file)
    {
        Span<byte> text = stackalloc byte[LongestName];
        using SafeFileHandle directory = OpenAt.Open("/proc/self/fd", Fcntl.O_PATH | Fcntl.O_DIRECTORY);
        long length = ReadLink.Read(directory, CString.From($"{file.DangerousGetHandle()}"), text);
        return Syscall.IsError(length) ? null : new OsText(text[..(int)length]);
    }

    private static bool LeadsTo(OsText name, ulong inode) =>
        FileStatus.TryOf(name.Bytes, out FileStatus.stat status, out _, followLinks: false) && status.st_ino == inode;
}
