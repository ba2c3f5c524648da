using System.Runtime.InteropServices;
using CriuPS.Engine.Objects.Files;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Restore;

/// <summary>
/// Opens the files of a tree, each once, for all who have it, and keeps it no longer than until the last of them has got it. If only one process has descriptors,
/// some of its files are opened while it makes others, and the next while it takes those before them; the files of several are opened in their order.
/// </summary>
internal sealed class TreeFileOpening : IDisposable
{
    private readonly SavedFiles _files;
    private readonly Dictionary<uint, int> _users = [];
    private readonly Dictionary<uint, SafeFileHandle> _open = [];
    private readonly HashSet<uint> _settled = [];
    private readonly HashSet<uint> _travellers = [];
    private readonly List<SafeFileHandle> _done = [];
    private readonly bool _opensAhead;
    private Task? _next;

    /// <param name="files">The files of the image set.</param>
    /// <param name="tables">The tables that will be filled.</param>
    public TreeFileOpening(SavedFiles files, IReadOnlyCollection<IReadOnlyList<FdinfoEntry>> tables)
    {
        _files = files;
        _opensAhead = tables.Count == 1;
        _users.EnsureCapacity(tables.Sum(table => table.Count));
        foreach (FdinfoEntry descriptor in tables.SelectMany(table => table))
        {
            CollectionsMarshal.GetValueRefOrAddDefault(_users, descriptor.Id, out _)++;
        }

        if (!files.Opening.Sockets.IsEmpty)
        {
            _travellers = [.. files.Opening.Sockets.Travellers];
        }

        if (_opensAhead && tables.First() is { Count: >= FilesAhead.WorthAThread } table)
        {
            Ahead = new FilesAhead(this, table);
        }
        else
        {
            Kernel.DescriptorTable.Expect(_users.Count);
        }
    }

    /// <summary>Begins to open what need not wait for the process, beside what comes next; all must be valid.</summary>
    public void BeginAhead() => Ahead?.Begin();

    /// <summary>What is opened so; null for nothing.</summary>
    public FilesAhead? Ahead { get; }

    /// <summary>The files of a table that its process can make by itself.</summary>
    public OwnFiles OwnFilesOf(IReadOnlyList<FdinfoEntry> table) => Ahead?.Files ?? new OwnFiles(this, table, table.Count);

    /// <summary>Makes the sockets, with what is on its way over them.</summary>
    public void MakeSockets()
    {
        if (!_files.Opening.Sockets.IsEmpty)
        {
            _files.Opening.Sockets.Make(id => Open(id, "the queue of a socket"));
        }
    }

    /// <summary>The open files of some descriptors of a process; they stay this object's.</summary>
    /// <param name="descriptors">The descriptors.</param>
    /// <param name="next">Those that the process will have after them.</param>
    public SafeFileHandle[] Open(IReadOnlyList<FdinfoEntry> descriptors, IReadOnlyList<FdinfoEntry> next)
    {
        _next?.GetAwaiter().GetResult();
        _next = null;
        SafeFileHandle[] files = [.. descriptors.Select(Open)];
        if (_opensAhead && next.Count > 0)
        {
            _next = Task.Run(() =>
            {
                foreach (FdinfoEntry descriptor in next)
                {
                    Open(descriptor);
                }
            });
        }

        return files;
    }

    /// <summary>The file of a descriptor that nobody else has, and that must be as it was; null for every other.</summary>
    public FileEntry? OwnFileOf(FdinfoEntry descriptor)
    {
        FileEntry file = _files[descriptor];
        return _users[descriptor.Id] == 1 && !_travellers.Contains(descriptor.Id) && !_files.Opening.Inherited.Replaces(file) ? file : null;
    }

    /// <summary>What the files share.</summary>
    public FileOpening Shared => _files.Opening;

    private SafeFileHandle Open(FdinfoEntry descriptor) => Known(descriptor.Id) ?? Open(_files[descriptor]);

    private SafeFileHandle Open(uint id, string user) => Known(id) ?? Open(_files[id, user]);

    private SafeFileHandle? Known(uint id)
    {
        lock (_open)
        {
            return _open.GetValueOrDefault(id);
        }
    }

    private SafeFileHandle Open(FileEntry entry)
    {
        SafeFileHandle handle = _files.Opening.Inherited.TryOpen(entry) ?? FileKinds.Find(entry.Type)!.Open(entry, _files.Opening);
        lock (_open)
        {
            return _open[entry.Id] = handle;
        }
    }

    /// <summary>Lets the first process that has a file do what only such a process can do.</summary>
    public void Settle(IReadOnlyList<FdinfoEntry> table, Compel.RemoteBatch batch)
    {
        foreach (FdinfoEntry descriptor in table.Where(d => _settled.Add(d.Id)))
        {
            FileEntry entry = _files[descriptor];
            if (_files.Opening.Inherited.Replaces(entry))
            {
                continue;
            }

            FileKinds.Find(entry.Type)!.Settle(entry, (int)descriptor.Fd, batch, _files.Opening);
        }
    }

    /// <summary>Epoll sets that are on their way to sockets among descriptors, and that no process has: the first who has such a socket fills them.</summary>
    public IEnumerable<(FileEntry Entry, SafeFileHandle Epoll)> TravellingSets(IReadOnlyList<FdinfoEntry> table)
    {
        if (_files.Opening.Sockets.IsEmpty)
        {
            yield break;
        }

        foreach (uint id in table.Where(d => d.Type == FdTypes.Unixsk).SelectMany(d => _files.Opening.Sockets.TravellersTo(d.Id)))
        {
            FileEntry entry = _files[id, "the queue of a socket"];
            if (entry.Type == FdTypes.Eventpoll && !_users.ContainsKey(id) && _settled.Add(id))
            {
                yield return (entry, _open[id]);
            }
        }
    }

    /// <summary>The locks that a process had taken.</summary>
    public IEnumerable<FileLockEntry> LocksOf(int pid) => _files.Locks[pid];

    /// <summary>Descriptors have been sent: what nobody else waits for is closed when there is time.</summary>
    public void Done(IEnumerable<FdinfoEntry> sent)
    {
        lock (_open)
        {
            foreach (FdinfoEntry descriptor in sent)
            {
                if (--_users[descriptor.Id] == 0 && _open.Remove(descriptor.Id, out SafeFileHandle? handle))
                {
                    _done.Add(handle);
                }
            }
        }
    }

    /// <summary>Closes what is of no use here any more.</summary>
    public void CloseDone()
    {
        _done.ForEach(handle => handle.Dispose());
        _done.Clear();
    }

    public void Dispose()
    {
        // What was opened ahead, or failed to be, is of no use any more; whatever it failed by was not the reason.
        Ahead?.Dispose();
        _next?.ContinueWith(_ => { }, TaskScheduler.Default).Wait();
        _done.AddRange(_open.Values);
        _open.Clear();
        CloseDone();
    }
}
