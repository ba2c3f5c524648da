using CriuPS.Engine.Compel;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects.Files;

namespace CriuPS.Engine.Restore;

/// <summary>
/// Those files of a process that nobody else has: it makes them by itself, and receives those that we have opened for it meanwhile. It does so before it has others:
/// every new file gets the lowest number that is free, which is known, and goes from there to its place. Gaps in the table are filled until then, so that most files
/// come where they belong.
/// </summary>
/// <param name="files">What can be made so.</param>
/// <param name="channel">The number of the restorer's own socket.</param>
/// <param name="batch">The process.</param>
/// <param name="hasOurRoot">Whether names lead it where they lead us.</param>
internal sealed class SelfMadeFiles(OwnFiles files, int channel, RemoteBatch batch, bool hasOurRoot)
{
    private readonly DescriptorNumbers _numbers = new();
    private readonly List<(FdinfoEntry End, long Size)> _resizes = [];
    private readonly List<(int First, int Last)> _filled = [];
    private readonly List<FdinfoEntry> _others = [], _ahead = [], _unsettled = [];
    private int _received;

    /// <summary>The descriptors of all other files, in ascending order.</summary>
    public IReadOnlyList<FdinfoEntry> Others => _others;

    /// <summary>The descriptors of its files that are not complete before it has all.</summary>
    public IReadOnlyList<FdinfoEntry> Unsettled => _unsettled;

    /// <summary>Messages that are still to be received.</summary>
    public int Messages => (_ahead.Count - _received + UnixSocket.SCM_MAX_FD - 1) / UnixSocket.SCM_MAX_FD;

    /// <summary>Adds the calls that make them.</summary>
    public void Add()
    {
        _numbers.Take(channel);
        for (int i = 0; i < files.Count; i++)
        {
            FdinfoEntry descriptor = files[i];
            if (_numbers.IsTaken((int)descriptor.Fd))
            {
                continue;
            }

            OwnFile? file = files.At(i);
            if (file?.Kind?.NeedsSettling == true)
            {
                _unsettled.Add(descriptor);
            }

            if (file is { } own && files.IsAhead(own))
            {
                _ahead.Add(descriptor);
            }
            else if (file is not { } made || made.First != i || !TryMake(made, descriptor, files.Count - i))
            {
                _others.Add(descriptor);
            }
        }
    }

    /// <summary>Adds the receipt of the next message.</summary>
    public void AddReceipt()
    {
        FdinfoEntry[] descriptors = [.. _ahead.Skip(_received).Take(UnixSocket.SCM_MAX_FD)];
        int[] numbers = new int[descriptors.Length];
        for (int i = 0; i < descriptors.Length; i++)
        {
            FillGap((int)descriptors[i].Fd, _ahead.Count - _received - i);
            numbers[i] = _numbers.Lowest;
            _numbers.Take(numbers[i]);
        }

        batch.Receive(channel, descriptors.Length);
        for (int i = descriptors.Length - 1; i >= 0; i--)
        {
            batch.Room(2).AddPlacing(numbers[i], (int)descriptors[i].Fd, FileTable.IsClosedOnExec(descriptors[i]));
            _numbers.Free(numbers[i]);
            _numbers.Take((int)descriptors[i].Fd);
        }

        _received += descriptors.Length;
    }

    /// <summary>Adds what is left to do when they are there.</summary>
    public void Finish()
    {
        foreach ((FdinfoEntry end, long size) in _resizes)
        {
            batch.Add(new CallOfDescriptor("fcntl(F_SETPIPE_SZ) of", (int)end.Fd), SyscallNumber.fcntl, (int)end.Fd, Fcntl.F_SETPIPE_SZ, size);
        }

        foreach ((int first, int last) in _filled)
        {
            batch.Add(new CallOfDescriptor("close_range from", first), SyscallNumber.close_range, first, last, 0);
        }
    }

    private bool TryMake(OwnFile file, FdinfoEntry descriptor, int left)
    {
        if (file.Entry?.Reg is not null && !hasOurRoot)
        {
            return false;
        }

        FillGap((int)descriptor.Fd, left);
        return file.Pipe is { } pipe ? TryMakePipe(pipe) : Make(file, descriptor);
    }

    private bool Make(OwnFile file, FdinfoEntry descriptor)
    {
        int number = _numbers.Lowest, wanted = (int)descriptor.Fd;
        bool closeOnExec = FileTable.IsClosedOnExec(descriptor);
        file.Kind!.AddMaking(file.Entry!, number, closeOnExec && number == wanted, batch);
        if (number != wanted)
        {
            batch.Room(2).AddMove(number, wanted, closeOnExec);
        }

        _numbers.Take(wanted);
        return true;
    }

    private bool TryMakePipe(PipePair pipe)
    {
        int first = _numbers.Lowest, second = _numbers.After(first);
        if (!pipe.FitsFrom((first, second)))
        {
            return false;
        }

        pipe.AddMaking((first, second), batch, () => _resizes.Add((pipe.Read.Descriptor, pipe.Size)));
        pipe.AddPlacing((first, second), batch.Room(4));
        _numbers.Take((int)pipe.Read.Descriptor.Fd);
        _numbers.Take((int)pipe.Write.Descriptor.Fd);
        return true;
    }

    // A free number below a file costs a move of this file and of all that follow, to fill it two calls at most.
    private void FillGap(int wanted, int left)
    {
        int first = _numbers.Lowest;
        if (first >= wanted || wanted - first > left)
        {
            return;
        }

        for (int number = first; number < wanted; number = _numbers.After(number))
        {
            batch.Room(1).AddPlacing(channel, number, closeOnExec: false, closes: false);
            AddFilled(number);
            _numbers.Take(number);
        }
    }

    private void AddFilled(int number)
    {
        if (_filled is [.., (int first, int last)] && last == number - 1)
        {
            _filled[^1] = (first, number);
        }
        else
        {
            _filled.Add((number, number));
        }
    }
}
