using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects.Files;
using CriuPS.Engine.Proc;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Sockets;

/// <summary>The queues of all unix sockets of a tree that stands still, and the open files that are on their way in them, which this holds.</summary>
internal sealed class SocketQueues : IDisposable
{
    private readonly Dictionary<ulong, SocketQueue> _byInode = [];
    private readonly Dictionary<SocketMessage, IReadOnlyList<OpenFile>> _filesOf = new(ReferenceEqualityComparer.Instance);
    private readonly List<OpenFile> _files = [];

    /// <summary>No queues at all.</summary>
    public static SocketQueues None => new();

    /// <summary>The files that are on their way.</summary>
    public IReadOnlyList<OpenFile> Files => _files;

    /// <summary>The queues, in the order in which their sockets were found.</summary>
    public IEnumerable<SocketQueue> All => _byInode.Values;

    /// <summary>Reads the queues of all sockets among descriptors, and of those that are found in queues.</summary>
    /// <param name="files">The descriptors of all processes.</param>
    /// <param name="sockets">What the kernel tells of sockets.</param>
    /// <param name="mayLoseReset">Whether an error that waits may be taken out.</param>
    public static SocketQueues Read(IReadOnlyList<OpenFile> files, UnixSockets sockets, bool mayLoseReset)
    {
        SocketQueues queues = new();
        try
        {
            foreach (IGrouping<int, OpenFile> process in files.Where(UnixSockets.Is).GroupBy(file => file.Pid))
            {
                using SafeFileHandle pidfd = PidFd.Open(process.Key);
                foreach (OpenFile file in process)
                {
                    queues.Add(file, pidfd, sockets, mayLoseReset);
                }
            }

            queues.ReadNested(sockets, mayLoseReset);
            return queues;
        }
        catch
        {
            queues.Dispose();
            throw;
        }
    }

    /// <summary>The queue of a socket; null where it was not read.</summary>
    public SocketQueue? Of(OpenFile socket) => _byInode.GetValueOrDefault(socket.Status.st_ino);

    /// <summary>The files that travel with a message.</summary>
    public IReadOnlyList<OpenFile> FilesOf(SocketMessage message) => _filesOf.GetValueOrDefault(message) ?? [];

    /// <summary>The files on their way to a process, through however many sockets.</summary>
    public IEnumerable<OpenFile> FilesTo(int pid) => _files.Where(file => file.Holder == pid);

    public void Dispose()
    {
        foreach (SafeFileHandle file in _filesOf.Keys.SelectMany(message => message.Files))
        {
            file.Dispose();
        }
    }

    private void ReadNested(UnixSockets sockets, bool mayLoseReset)
    {
        if (_files.Count == 0)
        {
            return;
        }

        using SafeFileHandle self = PidFd.Open(Environment.ProcessId);
        for (int i = 0; i < _files.Count; i++)
        {
            if (UnixSockets.Is(_files[i]))
            {
                Add(_files[i], self, sockets, mayLoseReset);
            }
        }
    }

    private void Add(OpenFile file, SafeFileHandle process, UnixSockets sockets, bool mayLoseReset)
    {
        if (_byInode.ContainsKey(file.Status.st_ino) || sockets.Find(file.Status.st_ino) is not { } diag)
        {
            return;
        }

        using SafeFileHandle socket = PidFd.GetFd(process, file.Fd);
        SocketQueue queue = _byInode[file.Status.st_ino] = SocketQueue.Read(file, socket, diag, mayLoseReset);
        if (!queue.Messages.Any(message => message.Files.Count > 0))
        {
            return;
        }

        using ProcDirectory self = new(Environment.ProcessId);
        using DescriptorLook look = new(self);
        foreach (SocketMessage message in queue.Messages.Where(message => message.Files.Count > 0))
        {
            OpenFile[] found = [.. message.Files.Select(f => look.TryRead((int)f.DangerousGetHandle())! with { Carrier = file })];
            _filesOf.Add(message, found);
            _files.AddRange(found);
        }
    }
}
