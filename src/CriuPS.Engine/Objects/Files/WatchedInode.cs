using System.Runtime.InteropServices;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;
using Google.Protobuf;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// An inode that is watched for events. The kernel keeps the inode and no name; fdinfo gives its handle, open_by_handle_at(2) opens it, and the link of
/// that descriptor in /proc is a name of it, if it has one that the kernel remembers. A deleted file that is open somewhere in the tree is found again by
/// the device and number of its ghost; where there is no name at all the handle leads to it.
/// </summary>
internal static class WatchedInode
{
    /// <summary>Words that CRIU has room for in the handle of an image.</summary>
    private const int HandleWords = 16;

    private const int MinorBits = 20, LongestName = 4096;

    /// <summary>open_by_handle_at(2) takes no O_PATH descriptor for a file system.</summary>
    private const int ToFind = Fcntl.O_RDONLY | Fcntl.O_NONBLOCK | Fcntl.O_NOCTTY;

    /// <summary>Why an inode could not be found at a restore; null where it could.</summary>
    public static (string Reason, string Remedy)? Objection(OpenFile file, string watch, uint device, ulong inode, FileHandle? handle, TreeFiles tree)
    {
        if (FindName(file.Pid, device, inode, handle) is not null || tree.HasDeleted(device, inode))
        {
            return null;
        }

        using SafeFileHandle? found = Find(file.Pid, device, handle);
        return found is not null && FileStatus.Of(found).st_nlink > 0
            ? null
            : ($"its {watch} is on inode {inode}, which has no name and is open in no process of the tree", "let the program take it away");
    }

    /// <summary>Saves how an inode is found again.</summary>
    public static FhEntry Save(OpenFile file, uint device, ulong inode, FileHandle? handle)
    {
        FhEntry entry = new() { Bytes = (uint)(handle?.Bytes.Length ?? 0), Type = (uint)(handle?.Type ?? 0) };
        if (FindName(file.Pid, device, inode, handle) is { } name)
        {
            entry.Path = ByteString.CopyFrom(name.Bytes);
        }

        ulong[] words = new ulong[HandleWords];
        handle?.Bytes.AsSpan(0, Math.Min(handle.Bytes.Length, HandleWords * sizeof(ulong))).CopyTo(MemoryMarshal.AsBytes(words.AsSpan()));
        entry.Handle.AddRange(words);
        return entry;
    }

    /// <summary>Fails if an inode cannot be found.</summary>
    public static void Validate(FhEntry saved, uint device, ulong inode, FileOpening opening)
    {
        if (!opening.Remaps.HasGhost(device, inode))
        {
            Open(saved, device, inode, opening).Dispose();
        }
    }

    /// <summary>Opens an inode, with O_PATH.</summary>
    public static SafeFileHandle Open(FhEntry saved, uint device, ulong inode, FileOpening opening)
    {
        if (opening.Remaps.FindGhost(device, inode) is { } ghost)
        {
            return opening.Remaps.Open(ghost);
        }

        if (saved.HasPath)
        {
            ByteString path = opening.Choices.Paths.Apply(saved.Path);
            string name = new OsText(path.Span).ToDisplayString();
            return OpenAt.TryOpen(null, CString.From(path.Span), Fcntl.O_PATH | Fcntl.O_NOFOLLOW, out int errno)
                ?? throw Missing(name, errno);
        }

        FileHandle handle = new((int)saved.Type, MemoryMarshal.AsBytes<ulong>(saved.Handle.ToArray())[..(int)saved.Bytes].ToArray());
        return Find(Environment.ProcessId, device, handle) ?? throw Missing($"inode {inode}", Errno.ENOENT);
    }

    private static CriuException Missing(string name, int errno) =>
        new("FileChanged", CriuErrorKind.InvalidData, $"{name}, which it watches, cannot be found: {Errno.Describe(errno)}")
        {
            Subject = name, Errno = errno, Remedy = "put the file back where it was",
        };

    // A path that leads to it now; null where there is none.
    private static OsText? FindName(int pid, uint device, ulong inode, FileHandle? handle)
    {
        using SafeFileHandle? found = Find(pid, device, handle);
        return found is not null && NameOf(found) is { } name && LeadsTo(name, inode) ? name : null;
    }

    /// <summary>The device of a mount as fdinfo has it: major number times 2^20 plus minor number.</summary>
    public static uint DeviceOf(MountInfo mount) => (mount.DeviceMajor << MinorBits) | mount.DeviceMinor;

    /// <summary>Opens an inode through any mount of its file system that a process sees; null where it cannot be opened.</summary>
    public static SafeFileHandle? Find(int pid, uint device, FileHandle? handle)
    {
        if (handle is null)
        {
            return null;
        }

        using ProcDirectory proc = new(pid);
        foreach (MountInfo mount in MountInfo.Read(proc).Where(m => DeviceOf(m) == device))
        {
            using SafeFileHandle? root = OpenAt.TryOpen(null, CString.From(mount.MountPoint.Bytes), ToFind, out _);
            if (root is not null && FileHandles.TryOpen(root, handle.Type, handle.Bytes, Fcntl.O_PATH, out _) is { } found)
            {
                return found;
            }
        }

        return null;
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
