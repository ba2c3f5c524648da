using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects.Files;
using CriuPS.Engine.Proc;
using Google.Protobuf;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Sockets;

/// <summary>
/// The name of a unix socket (struct unix_address) and the file that it was bound to, which lives on its own: it may be renamed, removed or replaced, while the
/// socket keeps its name. sock_diag(7) tells the name; SIOCUNIXFILE (since Linux 4.20, with CAP_NET_ADMIN) opens the file, else it is looked for by the name.
/// </summary>
internal static class UnixName
{
    /// <summary>Whether a name is a path.</summary>
    public static bool IsPath(ReadOnlySpan<byte> name) => !name.IsEmpty && name[0] != 0;

    /// <summary>A name without the zero byte at its end.</summary>
    public static ReadOnlySpan<byte> PathOf(ReadOnlySpan<byte> name) => name.IndexOf((byte)0) is >= 0 and int end ? name[..end] : name;

    /// <summary>A name for people; the zero bytes of an abstract one are shown as '@'.</summary>
    public static string Describe(ReadOnlySpan<byte> name) =>
        new Proc.OsText(IsPath(name) ? PathOf(name) : [.. name.ToArray().Select(b => b == 0 ? (byte)'@' : b)]).ToDisplayString();

    /// <summary>Saves where the name of a socket leads to.</summary>
    /// <param name="file">A descriptor of the socket.</param>
    /// <param name="socket">The very socket.</param>
    /// <param name="diag">What the kernel tells of it.</param>
    /// <param name="saved">Gets what CRIU's image can say.</param>
    /// <param name="extra">Gets the rest.</param>
    public static void Save(OpenFile file, SafeFileHandle socket, UnixDiag.Socket diag, UnixSkEntry saved, CriupsSocketEntry extra)
    {
        saved.Name = ByteString.CopyFrom(diag.Name);
        if (!IsPath(diag.Name))
        {
            return;
        }

        byte[] path = PathOf(diag.Name).ToArray();
        using SafeFileHandle? node = SocketCall.TryOpenFile(socket, out _);
        FileStatus.stat? bound = node is null ? null : FileStatus.Of(node);
        byte[]? now = node is null ? null : PathOf(node);
        bool IsThere(byte[] at) => FileStatus.TryOf(at, out FileStatus.stat found, out _, followLinks: false) && IsSame(found, bound, diag);

        bool relative = path[0] != '/';
        byte[] directory = relative ? DirectoryOf(file, path, now, IsThere) : [];
        if (relative)
        {
            saved.NameDir = ByteString.CopyFrom(directory);
        }

        byte[] place = relative ? Join(directory, path) : path;
        if (IsThere(place))
        {
            SavePermissions(saved, bound ?? StatusOf(place));
            return;
        }

        if (now is not null && !relative && now.AsSpan().EndsWith(path) && IsThere(now))
        {
            extra.Root = ByteString.CopyFrom(now.AsSpan(0, now.Length - path.Length));
            SavePermissions(saved, bound!.Value);
        }
        else if (now is not null && IsThere(now))
        {
            extra.MovedTo = ByteString.CopyFrom(now);
            SavePermissions(saved, bound!.Value);
        }
        else
        {
            SavePermissions(saved, bound ?? default);
        }

        // For CRIU, which knows nothing of what is in our own image, it is one without a file.
        saved.Deleted = true;
    }

    /// <summary>A name below a directory.</summary>
    public static byte[] Join(ReadOnlySpan<byte> directory, ReadOnlySpan<byte> name) =>
        directory.EndsWith("/"u8) ? [.. directory, .. name] : [.. directory, (byte)'/', .. name];

    private static void SavePermissions(UnixSkEntry saved, FileStatus.stat status) =>
        saved.FilePerms = new FilePermsEntry { Mode = status.st_mode, Uid = status.st_uid, Gid = status.st_gid };

    private static FileStatus.stat StatusOf(byte[] place) => FileStatus.TryOf(place, out FileStatus.stat status, out _, followLinks: false) ? status : default;

    private static bool IsSame(FileStatus.stat found, FileStatus.stat? bound, UnixDiag.Socket diag) => bound is { } node
        ? (found.st_dev, found.st_ino) == (node.st_dev, node.st_ino)
        : diag.File is { } file && (uint)found.st_ino == file.Inode && GhostFile.KernelDevice(found.st_dev) == file.Device;

    // The process may have gone elsewhere since; its directory is the best guess where the file does not tell.
    private static byte[] DirectoryOf(OpenFile file, byte[] name, byte[]? now, Func<byte[], bool> isThere)
    {
        byte[] tail = [(byte)'/', .. name];
        if (now is not null && now.AsSpan().EndsWith(tail))
        {
            return now.Length == tail.Length ? "/"u8.ToArray() : now[..^tail.Length];
        }

        int pid = file.Carrier is null ? file.Pid : 0;
        byte[][] guesses = [.. ((string[])[$"/proc/{pid}/cwd", $"/proc/{pid}/root"]).Select(LinkOf).OfType<byte[]>()];
        return guesses.FirstOrDefault(guess => isThere(Join(guess, name))) ?? guesses.FirstOrDefault() ?? "/"u8.ToArray();
    }

    private static byte[]? LinkOf(string link)
    {
        using SafeFileHandle? place = OpenAt.TryOpen(null, CString.From(link), OpenAt.O_PATH, out _);
        return place is null ? null : PathOf(place);
    }

    /// <summary>Where an open place is, or was.</summary>
    public static byte[] PathOf(SafeFileHandle place)
    {
        byte[] text = new byte[4096];
        using SafeFileHandle root = OpenAt.Open("/", OpenAt.O_PATH | OpenAt.O_DIRECTORY);
        long length = Syscall.Check(ReadLink.Read(root, CString.From($"proc/self/fd/{place.DangerousGetHandle()}"), text), "readlink of the file of a socket");
        return DeletedMark.CutFrom(text.AsSpan(0, (int)length)).ToArray();
    }
}
