using System.Globalization;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Sockets;

/// <summary>
/// Gives new unix sockets their names (bind(2)), and connects with them. A path is looked up from the directories of the thread that calls: so a name that has
/// lost its file, or whose file has moved, is bound below a root directory that is made for it alone, and nothing appears where it once was.
/// </summary>
internal sealed class UnixPlaces : IDisposable
{
    private readonly SafeFileHandle _root = OpenAt.Open("/", OpenAt.O_PATH | OpenAt.O_DIRECTORY);
    private readonly Dictionary<UnixEnd, string> _rooms = [];
    private readonly List<(byte[] Place, bool WasThere)> _made = [];
    private int _lastRoom;

    /// <summary>Gives a socket its name.</summary>
    public void Bind(UnixEnd end)
    {
        int errno = TryBind(end);
        if (errno == Errno.EADDRINUSE)
        {
            throw new CriuException("SocketNameInUse", CriuErrorKind.AlreadyExists, $"{end} was bound to {Text(end)}, which somebody else is bound to")
            {
                Subject = Text(end), Errno = errno, Remedy = "end that program",
            };
        }

        if (errno != 0)
        {
            throw new KernelException($"bind of {end} to {Text(end)}", errno);
        }
    }

    /// <summary>Gives a socket its name; the result is the errno, 0 for success.</summary>
    public int TryBind(UnixEnd end)
    {
        if (!end.HasPath)
        {
            return SocketCall.TryBind(end.Handle!, end.Saved.Name.Span);
        }

        byte[]? place = end.Place;
        if (place is not null)
        {
            MakeWay(place);
        }

        if (NeedsRoom(end))
        {
            _rooms[end] = MakeRoom(place);
        }

        (int errno, SafeFileHandle? node) = Within(end, () => BindHere(end));
        using (node)
        {
            if (errno == 0)
            {
                SetPermissions(end, node!);
                errno = end.Extra is { HasMovedTo: true } ? FileNames.TryRename(UnixName.PathOf(node!), place) : 0;
            }
        }

        return errno;
    }

    private static (int Errno, SafeFileHandle? Node) BindHere(UnixEnd end)
    {
        if (NeedsRoom(end))
        {
            MakeDirectories(end.Path, last: false);
        }

        int errno = SocketCall.TryBind(end.Handle!, end.Saved.Name.Span);
        SafeFileHandle? node = errno == 0 ? OpenAt.TryOpen(null, [.. end.Path, 0], OpenAt.O_PATH | FileAt.O_NOFOLLOW, out errno) : null;
        return (errno, node);
    }

    /// <summary>Connects with a socket that has a name; the result is the errno, 0 for success.</summary>
    public int TryConnect(SafeFileHandle socket, UnixEnd target)
    {
        if (target.Extra is { HasMovedTo: true })
        {
            byte[] place = target.Place!;
            int name = place.AsSpan().LastIndexOf((byte)'/') + 1;
            int errno = FileSystemContext.TryChange(place.AsSpan(0, name));
            return errno != 0 ? errno : SocketCall.TryConnect(socket, place.AsSpan(name));
        }

        return target.HasPath && !target.IsOutside
            ? Within(target, () => SocketCall.TryConnect(socket, target.Saved.Name.Span))
            : SocketCall.TryConnect(socket, target.Saved.Name.Span);
    }

    /// <summary>Sends a message to a socket that has a name; the result is the errno, 0 for success.</summary>
    public int TrySend(SafeFileHandle socket, UnixEnd target, byte[] data, int[] files, PacketSocket.ucred? credentials)
    {
        int Send() => SocketMessage.TrySend(socket, data, target.Saved.Name.Span, files, credentials, 0, out _);
        return target.HasPath && target.Extra is not { HasMovedTo: true } ? Within(target, Send) : Send();
    }

    /// <summary>Removes the files that were made, after a failure. One that took the place of another stays: that one led nowhere either.</summary>
    public void TakeBack()
    {
        foreach ((byte[] place, bool wasThere) in _made)
        {
            if (!wasThere)
            {
                FileNames.TryUnlink(place);
            }
        }
    }

    public void Dispose()
    {
        foreach (string room in _rooms.Values)
        {
            Directory.Delete(room, recursive: true);
        }

        _rooms.Clear();
        _root.Dispose();
    }

    private static bool NeedsRoom(UnixEnd end) => end.HasPath && (end.Place is null || end.Extra is { HasMovedTo: true });

    // Whose file lies there was bound by a program that is no more: that was made sure of before anything was started.
    private void MakeWay(byte[] place)
    {
        int errno = FileNames.TryUnlink(place);
        if (errno is not (0 or Errno.ENOENT))
        {
            throw new KernelException($"unlink of {new Proc.OsText(place).ToDisplayString()}", errno);
        }

        _made.Add((place, errno == 0));
    }

    // A file can only be moved within its file system.
    private string MakeRoom(byte[]? place)
    {
        if (place is null)
        {
            return Directory.CreateTempSubdirectory("criups-sockets-").FullName;
        }

        string beside = new Proc.OsText(place.AsSpan(0, place.AsSpan().LastIndexOf((byte)'/') + 1)).ToString();
        string room = string.Create(CultureInfo.InvariantCulture, $"{beside}.criups-{Environment.ProcessId}-{++_lastRoom}");
        Directory.CreateDirectory(room, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        return room;
    }

    private T Within<T>(UnixEnd end, Func<T> action)
    {
        byte[]? root = _rooms.TryGetValue(end, out string? room) ? CString.From(room)[..^1] : end.Extra is { HasRoot: true } ? end.Extra.Root.ToByteArray() : null;
        try
        {
            if (root is not null)
            {
                Enter(root, end);
                FileSystemContext.TakeAsRoot();
            }

            if (end.IsRelative)
            {
                byte[] directory = end.Saved.NameDir.IsEmpty ? "/"u8.ToArray() : end.Saved.NameDir.ToByteArray();
                if (NeedsRoom(end))
                {
                    MakeDirectories(directory, last: true);
                }

                Enter(directory, end);
            }

            return action();
        }
        finally
        {
            if (root is not null)
            {
                FileSystemContext.Return(_root);
            }
        }
    }

    private static void Enter(byte[] directory, UnixEnd end)
    {
        int errno = FileSystemContext.TryChange(directory);
        if (errno != 0)
        {
            throw new KernelException($"chdir({new Proc.OsText(directory).ToDisplayString()}) for {end}", errno);
        }
    }

    private static void MakeDirectories(byte[] path, bool last)
    {
        for (int i = 1; i <= path.Length; i++)
        {
            if (i == path.Length ? last : path[i] == '/')
            {
                int errno = FileNames.TryMakeDirectory(path.AsSpan(0, i), 0x1c0);
                if (errno is not (0 or Errno.EEXIST))
                {
                    throw new KernelException($"mkdir({new Proc.OsText(path.AsSpan(0, i)).ToDisplayString()})", errno);
                }
            }
        }
    }

    private static void SetPermissions(UnixEnd end, SafeFileHandle node)
    {
        if (end.Saved.FilePerms is { } permissions)
        {
            InodeAttributes.SetOwner(node, permissions.Uid, permissions.Gid);
            InodeAttributes.SetMode(node, permissions.Mode);
        }
    }

    private static string Text(UnixEnd end) => UnixName.Describe(end.Saved.Name.Span);
}
