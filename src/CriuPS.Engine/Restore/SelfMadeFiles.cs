using System.Collections;
using CriuPS.Engine.Compel;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects.Files;

namespace CriuPS.Engine.Restore;

/// <summary>
/// Those files of a process that it makes by itself, because nobody else has them. It does so before it has others: every new file gets the lowest number that is free,
/// which is known, and goes from there to its place.
/// </summary>
internal sealed class SelfMadeFiles
{
    private readonly TreeFileOpening _opening;
    private readonly RemoteBatch _batch;
    private readonly IReadOnlyList<FdinfoEntry> _table;
    private readonly BitArray _taken;
    private readonly List<(FdinfoEntry End, long Size)> _resizes = [];
    private readonly List<FdinfoEntry> _others = [];
    private readonly bool _hasOurRoot;
    private int _lowest;

    /// <param name="opening">The files of the tree.</param>
    /// <param name="table">The process's descriptors, in ascending order.</param>
    /// <param name="channel">The number of the restorer's own socket.</param>
    /// <param name="batch">The process.</param>
    /// <param name="hasOurRoot">Whether names lead it where they lead us.</param>
    public SelfMadeFiles(TreeFileOpening opening, IReadOnlyList<FdinfoEntry> table, int channel, RemoteBatch batch, bool hasOurRoot)
    {
        (_opening, _table, _batch, _hasOurRoot) = (opening, table, batch, hasOurRoot);

        // Two more: where the ends of a pipe are made.
        int last = table.Count == 0 ? 0 : (int)table[^1].Fd;
        _taken = new BitArray(Math.Max(last, channel) + 3) { [channel] = true };
    }

    /// <summary>Adds the calls that make them.</summary>
    /// <returns>The descriptors of all other files, in ascending order.</returns>
    public IReadOnlyList<FdinfoEntry> Add()
    {
        Dictionary<uint, PipePair> pairs = FindPairs();
        HashSet<FdinfoEntry> made = new(ReferenceEqualityComparer.Instance);
        foreach (FdinfoEntry descriptor in _table)
        {
            if (made.Contains(descriptor))
            {
                continue;
            }

            if (_opening.OwnFileOf(descriptor) is { } file && (file.Pipe is { } end ? TryMakePair(pairs, end, made) : TryMake(file, descriptor)))
            {
                _taken[(int)descriptor.Fd] = true;
            }
            else
            {
                _others.Add(descriptor);
            }
        }

        return _others;
    }

    /// <summary>Adds what is left to do when they are there.</summary>
    public void Finish()
    {
        foreach ((FdinfoEntry end, long size) in _resizes)
        {
            _batch.Add(new CallOfDescriptor("fcntl(F_SETPIPE_SZ) of", (int)end.Fd), SyscallNumber.fcntl, (int)end.Fd, Fcntl.F_SETPIPE_SZ, size);
        }
    }

    private bool TryMake(FileEntry file, FdinfoEntry descriptor)
    {
        if (FileKinds.Find(file.Type) is not ISelfMade kind || (file.Reg is not null && !_hasOurRoot) || !kind.CanBeSelfMade(file, _opening.Shared))
        {
            return false;
        }

        int number = LowestFrom(_lowest), wanted = (int)descriptor.Fd;
        bool closeOnExec = FileTable.IsClosedOnExec(descriptor);
        kind.AddMaking(file, number, closeOnExec && number == wanted, _batch);
        if (number != wanted)
        {
            _batch.Room(2).AddMove(number, wanted, closeOnExec);
        }

        _lowest = number;
        return true;
    }

    private bool TryMakePair(Dictionary<uint, PipePair> pairs, PipeEntry end, HashSet<FdinfoEntry> made)
    {
        if (!pairs.TryGetValue(end.PipeId, out PipePair pair) || !PipePair.IsEmpty(end.PipeId, _opening.Shared, out uint size))
        {
            return false;
        }

        int first = LowestFrom(_lowest), second = LowestFrom(first + 1);
        if (!pair.FitsFrom((first, second)))
        {
            return false;
        }

        (int, int) flags = ((int)_opening.OwnFileOf(pair.Read)!.Pipe.Flags, (int)_opening.OwnFileOf(pair.Write)!.Pipe.Flags);
        pair.AddMaking(flags, (first, second), _batch, present =>
        {
            if (size != 0 && present != size)
            {
                _resizes.Add((pair.Read, size));
            }
        });
        foreach (FdinfoEntry descriptor in (FdinfoEntry[])[pair.Read, pair.Write])
        {
            made.Add(descriptor);
            _taken[(int)descriptor.Fd] = true;
        }

        _lowest = first;
        return true;
    }

    private Dictionary<uint, PipePair> FindPairs()
    {
        Dictionary<uint, PipePair> pairs = [];
        Dictionary<uint, (FdinfoEntry Descriptor, PipeEntry End)> single = [];
        foreach (FdinfoEntry descriptor in _table.Where(d => d.Type == FdTypes.Pipe))
        {
            if (_opening.OwnFileOf(descriptor)?.Pipe is not { } end || !PipePair.IsOwnEnd(end) || _opening.Shared.EndsOf(end.PipeId) != 2)
            {
                continue;
            }

            if (!single.Remove(end.PipeId, out (FdinfoEntry Descriptor, PipeEntry End) other))
            {
                single.Add(end.PipeId, (descriptor, end));
            }
            else if (((other.End.Flags ^ end.Flags) & Fcntl.O_ACCMODE) != 0)
            {
                bool reads = (end.Flags & Fcntl.O_ACCMODE) == Fcntl.O_RDONLY;
                pairs.Add(end.PipeId, reads ? new PipePair(descriptor, other.Descriptor) : new PipePair(other.Descriptor, descriptor));
            }
        }

        return pairs;
    }

    private int LowestFrom(int number)
    {
        while (_taken[number])
        {
            number++;
        }

        return number;
    }
}
