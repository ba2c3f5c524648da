using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects.Files;

namespace CriuPS.Engine.Objects.Sockets;

/// <summary>The unix sockets of the machine as the kernel shows them (sock_diag(7)); it is asked once, when somebody first wants to know.</summary>
internal sealed class UnixSockets
{
    private Dictionary<uint, UnixDiag.Socket>? _all;
    private Dictionary<uint, UnixDiag.Socket>? _listeners;
    private HashSet<(uint Inode, uint Device)>? _bound;
    private Dictionary<uint, (int Pid, string Name)>? _holders;

    private Dictionary<uint, UnixDiag.Socket> All => _all ??= UnixDiag.All().DistinctBy(socket => socket.Inode).ToDictionary(socket => socket.Inode);

    /// <summary>Whether a descriptor is a unix socket.</summary>
    public static bool Is(OpenFile file) => file.SocketFamily == UnixSocket.AF_UNIX && !file.IsServiceSocket;

    /// <summary>The socket with an inode; null for none in this network namespace.</summary>
    public UnixDiag.Socket? Find(ulong inode) => All.GetValueOrDefault((uint)inode);

    /// <summary>The socket that has not accepted the connection of another one yet; null for none.</summary>
    public UnixDiag.Socket? ListenerOf(ulong inode) => (_listeners ??= FindListeners()).GetValueOrDefault((uint)inode);

    /// <summary>Whether a socket is bound to a file.</summary>
    public bool IsBound(FileStatus.stat file) =>
        (_bound ??= [.. All.Values.Select(socket => socket.File).OfType<(uint, uint)>()]).Contains(((uint)file.st_ino, GhostFile.KernelDevice(file.st_dev)));

    /// <summary>A process that has a socket open, for a refusal: it looks at the descriptors of everybody, once. Null where nobody is seen.</summary>
    public (int Pid, string Name)? HolderOf(uint inode) => (_holders ??= FindHolders()).TryGetValue(inode, out (int, string) holder) ? holder : null;

    private static Dictionary<uint, (int Pid, string Name)> FindHolders()
    {
        Dictionary<uint, (int, string)> found = [];
        foreach (string process in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(process), out int pid))
            {
                continue;
            }

            try
            {
                string name = File.ReadAllText($"{process}/comm").Trim();
                foreach (string link in Directory.EnumerateFiles($"{process}/fd").Select(fd => new FileInfo(fd).LinkTarget ?? ""))
                {
                    if (link.StartsWith("socket:[", StringComparison.Ordinal) && uint.TryParse(link.AsSpan()["socket:[".Length..^1], out uint inode))
                    {
                        found.TryAdd(inode, (pid, name));
                    }
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // It ended meanwhile, or is nobody's business.
            }
        }

        return found;
    }

    private Dictionary<uint, UnixDiag.Socket> FindListeners()
    {
        Dictionary<uint, UnixDiag.Socket> found = [];
        foreach (UnixDiag.Socket listener in All.Values)
        {
            foreach (uint pending in listener.Pending.Where(inode => inode != 0))
            {
                found[pending] = listener;
            }
        }

        return found;
    }
}
