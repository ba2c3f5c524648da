using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects.Files;

namespace CriuPS.Engine.Restore;

/// <summary>Those files of a table that nobody else has and that need nothing but their entries to be made: the process makes them, or we for it.</summary>
internal sealed class OwnFiles
{
    private readonly IReadOnlyList<FdinfoEntry> _table;
    private readonly OwnFile?[] _files;
    private int _ahead;

    /// <param name="opening">The files of the tree.</param>
    /// <param name="table">A process's descriptors, in ascending order.</param>
    /// <param name="ahead">The place in the table from which on they are opened by us.</param>
    public OwnFiles(TreeFileOpening opening, IReadOnlyList<FdinfoEntry> table, int ahead)
    {
        (_table, _ahead) = (table, ahead);
        _files = new OwnFile?[table.Count];
        Dictionary<uint, (int Index, PipeEntry End)> single = [];
        for (int i = 0; i < _files.Length; i++)
        {
            if (opening.OwnFileOf(table[i]) is not { } entry)
            {
                continue;
            }

            if (entry.Pipe is not null)
            {
                AddEnd(i, entry.Pipe, opening.Shared, single);
            }
            else if (FileKinds.Find(entry.Type) is ISelfMade kind && kind.CanBeSelfMade(entry, opening.Shared))
            {
                _files[i] = new OwnFile(i, entry, kind, null);
            }
        }
    }

    /// <summary>How many descriptors the table has.</summary>
    public int Count => _table.Count;

    /// <summary>A descriptor of the table.</summary>
    public FdinfoEntry this[int index] => _table[index];

    /// <summary>The file at a place of the table; null where it is none of them.</summary>
    public OwnFile? At(int index) => _files[index];

    /// <summary>Whether a file is opened by us: both ends of a pipe, or none.</summary>
    public bool IsAhead(OwnFile file) => file.First >= _ahead;

    /// <summary>Leaves all of them to the process.</summary>
    public void OpenNoneAhead() => _ahead = Count;

    /// <summary>How many descriptors are of other files.</summary>
    public int Others => _files.Count(file => file is null);

    /// <summary>The places of those that are, in ascending order.</summary>
    public IEnumerable<int> Ahead => Enumerable.Range(_ahead, Count - _ahead).Where(i => _files[i] is { } file && IsAhead(file));

    private void AddEnd(int index, PipeEntry end, FileOpening opening, Dictionary<uint, (int Index, PipeEntry End)> single)
    {
        if (!PipePair.IsOwnEnd(end) || opening.EndsOf(end.PipeId) != 2)
        {
            return;
        }

        if (!single.Remove(end.PipeId, out (int Index, PipeEntry End) before))
        {
            single.Add(end.PipeId, (index, end));
            return;
        }

        (int first, PipeEntry other) = before;
        if (((other.Flags ^ end.Flags) & Fcntl.O_ACCMODE) != 0 && PipePair.IsEmpty(end.PipeId, opening, out uint size))
        {
            bool reads = (end.Flags & Fcntl.O_ACCMODE) == Fcntl.O_RDONLY;
            PipePair pair = reads ? new PipePair((_table[index], end), (_table[first], other), size) : new PipePair((_table[first], other), (_table[index], end), size);
            _files[first] = _files[index] = new OwnFile(first, null, null, pair);
        }
    }
}

/// <summary>A file that can be made from its entry alone, or a pipe.</summary>
/// <param name="First">The place of its first descriptor in the table.</param>
/// <param name="Entry">The entry; null for a pipe.</param>
/// <param name="Kind">What makes it; null for a pipe.</param>
/// <param name="Pipe">The pipe.</param>
internal readonly record struct OwnFile(int First, FileEntry? Entry, ISelfMade? Kind, PipePair? Pipe);
