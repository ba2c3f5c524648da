using CriuPS.Engine.Objects.Files;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Restore;

/// <summary>
/// Opens the files of a tree, each once, for all who have it, and keeps it no longer than until the last of them has got it.
/// </summary>
internal sealed class TreeFileOpening : IDisposable
{
    private readonly SavedFiles _files;
    private readonly Dictionary<uint, int> _users = [];
    private readonly Dictionary<uint, SafeFileHandle> _open = [];
    private readonly HashSet<uint> _settled = [];

    /// <param name="files">The files of the image set.</param>
    /// <param name="tables">The tables that will be filled.</param>
    public TreeFileOpening(SavedFiles files, IEnumerable<IReadOnlyList<FdinfoEntry>> tables)
    {
        _files = files;
        foreach (FdinfoEntry descriptor in tables.SelectMany(table => table))
        {
            _users[descriptor.Id] = _users.GetValueOrDefault(descriptor.Id) + 1;
        }
    }

    /// <summary>The open file of an id; it stays this object's.</summary>
    public SafeFileHandle Open(FdinfoEntry descriptor)
    {
        if (!_open.TryGetValue(descriptor.Id, out SafeFileHandle? handle))
        {
            FileEntry entry = _files[descriptor];
            handle = _open[descriptor.Id] = _files.Opening.Inherited.TryOpen(entry) ?? FileKinds.Find(entry.Type)!.Open(entry, _files.Opening);
        }

        return handle;
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

    /// <summary>The locks that a process had taken.</summary>
    public IEnumerable<FileLockEntry> LocksOf(int pid) => _files.Locks[pid];

    /// <summary>Descriptors have been sent: what nobody else waits for is closed.</summary>
    public void Done(IEnumerable<FdinfoEntry> sent)
    {
        foreach (FdinfoEntry descriptor in sent)
        {
            if (--_users[descriptor.Id] == 0 && _open.Remove(descriptor.Id, out SafeFileHandle? handle))
            {
                handle.Dispose();
            }
        }
    }

    public void Dispose()
    {
        foreach (SafeFileHandle handle in _open.Values)
        {
            handle.Dispose();
        }
    }
}
