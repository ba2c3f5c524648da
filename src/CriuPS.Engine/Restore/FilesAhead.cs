using System.Runtime.ExceptionServices;
using CriuPS.Engine.Compel;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects.Files;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Restore;

/// <summary>
/// Opens the files at the end of the only table of a tree here, and sends them, while the process is born and makes those at the beginning: so the kernel makes them
/// on two processors. The thread that does so has a table of descriptors of its own (unshare(2), CLONE_FILES): that of all threads would be made larger, for which
/// the kernel waits until all processors have seen it (fs/file.c, expand_fdtable), some 10 ms.
/// </summary>
internal sealed class FilesAhead : IDisposable
{
    /// <summary>Fewer are made before another thread has been woken up.</summary>
    public const int WorthAThread = 256;

    // So many have been opened here when the process makes its first one.
    private const int Lead = 2500;

    private const int Everything = int.MaxValue, StackSize = 256 << 10;

    private readonly object _turn = new();
    private readonly TreeFileOpening _opening;
    private readonly IReadOnlyList<FdinfoEntry> _table;
    private readonly Thread _thread;
    private readonly OwnBatch _batch = new();
    private readonly DescriptorNumbers _numbers = new();
    private readonly Dictionary<uint, int> _otherEnds = [];
    private readonly Queue<int[]> _opened = [];
    private OwnFiles? _files;
    private volatile DescriptorChannel? _channel;
    private ExceptionDispatchInfo? _failure;
    private int _underway, _known;
    private bool _hasOwnTable, _begun, _stalled;
    private volatile bool _ended;

    /// <summary>Begins to look which they are.</summary>
    /// <param name="opening">The files of the tree.</param>
    /// <param name="table">The table.</param>
    public FilesAhead(TreeFileOpening opening, IReadOnlyList<FdinfoEntry> table)
    {
        (_opening, _table) = (opening, table);
        _thread = new Thread(Run, StackSize) { IsBackground = true, Name = "criups files" };
        _thread.Start();
    }

    /// <summary>The files of the table.</summary>
    /// <exception cref="CriuException">They could not be found.</exception>
    public OwnFiles Files
    {
        get
        {
            Await(() => _files is not null);
            return _files!;
        }
    }

    /// <summary>Begins to open them.</summary>
    public void Begin() => Tell(() => _begun = true);

    /// <summary>Gives the way to the process, which nobody else uses until all has been received.</summary>
    public void Connect(DescriptorChannel channel) => Tell(() => _channel = channel);

    /// <summary>Waits until messages are on their way.</summary>
    /// <param name="most">As many as are wanted.</param>
    /// <returns>How many there are, fewer only where the way takes no more.</returns>
    /// <exception cref="CriuException">A file could not be opened or sent.</exception>
    public int AwaitSent(int most)
    {
        Await(() => _underway >= most || (_stalled && _underway > 0));
        return Math.Min(_underway, most);
    }

    /// <summary>Messages have been received.</summary>
    public void Received(int messages) => Tell(() =>
    {
        _underway -= messages;
        _stalled = false;
    });

    public void Dispose()
    {
        Tell(() => _ended = true);
        _thread.Join();
    }

    private void Run()
    {
        try
        {
            OwnFiles files = new(_opening, _table, _table.Count - PartOf(_table.Count));
            DescriptorTable.Expect(files.Others);
            _hasOwnTable = !Syscall.IsError(Syscall.Invoke(SyscallNumber.unshare, (long)Clone3.CLONE_FILES));
            if (!_hasOwnTable)
            {
                // A sandbox may forbid it: then the process makes all of them.
                files.OpenNoneAhead();
            }

            Tell(() => _files = files);
            if (AwaitHere(() => _begun))
            {
                Work(files);
            }
        }
        catch (Exception e)
        {
            // Nothing may escape from a thread: it would end the shell.
            Tell(() => _failure = ExceptionDispatchInfo.Capture(e));
        }

        if (_hasOwnTable)
        {
            // The runtime may have begun a thread of its own in this one, which would keep what is open here.
            Syscall.Invoke(SyscallNumber.close_range, 0, Everything, 0);
        }
    }

    // Half of what is left when the process begins. Not all of them: there must be numbers for what else is open here.
    private static int PartOf(int files) => Math.Min((files + Lead) / 2, files - files / 8);

    private void Work(OwnFiles files)
    {
        SafeFileHandle? way = null;
        try
        {
            foreach (int[] part in files.Ahead.Chunk(UnixSocket.SCM_MAX_FD))
            {
                Open(files, part);
                while (_opened.Count > 0 && _channel is { } channel && !_ended)
                {
                    Send(way ??= Way(channel));
                }
            }

            while (_opened.Count > 0 && AwaitHere(() => _channel is not null))
            {
                Send(way ??= Way(_channel!));
            }
        }
        finally
        {
            way?.Dispose();
        }
    }

    private void Open(OwnFiles files, int[] part)
    {
        int[] numbers = new int[part.Length];
        for (int i = 0; i < part.Length; i++)
        {
            uint id = files[part[i]].Id;
            if (!_otherEnds.Remove(id, out numbers[i]))
            {
                OwnFile file = files.At(part[i])!.Value;
                numbers[i] = file.Pipe is { } pipe ? AddPipe(pipe, id) : Add(file);
            }
        }

        _batch.Run();
        CheckNumbers(numbers[0]);
        _opened.Enqueue(numbers);
    }

    private int Add(OwnFile file)
    {
        int number = Next();
        file.Kind!.AddMaking(file.Entry!, number, closeOnExec: false, _batch);
        return number;
    }

    private int AddPipe(PipePair pipe, uint end)
    {
        int read = Next(), write = Next();
        pipe.AddMaking((read, write), _batch, () => Syscall.Check(
            Syscall.Invoke(SyscallNumber.fcntl, read, Fcntl.F_SETPIPE_SZ, pipe.Size), () => $"fcntl(F_SETPIPE_SZ) of pipe {pipe.Read.Entry.PipeId}"));
        bool isWriter = pipe.Write.Descriptor.Id == end;
        _otherEnds.Add(isWriter ? pipe.Read.Descriptor.Id : pipe.Write.Descriptor.Id, isWriter ? read : write);
        return isWriter ? write : read;
    }

    // The number of the next file that is made in this thread. What all threads had open before is open here too.
    private int Next()
    {
        int number;
        do
        {
            number = _numbers.Lowest;
            _numbers.Take(number);
        }
        while (number >= _known && IsOpen(number));
        return number;
    }

    private bool IsOpen(int number)
    {
        _known = number + 1;
        return !Syscall.IsError(Syscall.Invoke(SyscallNumber.fcntl, number, Fcntl.F_GETFD));
    }

    // If anything else was opened in this thread, files would have other numbers than they should.
    private void CheckNumbers(int any)
    {
        int expected = Next();
        long number = Syscall.Check(Syscall.Invoke(SyscallNumber.fcntl, any, Fcntl.F_DUPFD_CLOEXEC, 0), "fcntl(F_DUPFD)");
        Syscall.Check(Syscall.Invoke(SyscallNumber.close, number), "close");
        _numbers.Free(expected);
        if (number != expected)
        {
            throw new CriuException("DescriptorsMixedUp", CriuErrorKind.KernelFailure, $"descriptor {number} was to be {expected}: something else was opened in this thread")
            {
                Remedy = "try again",
            };
        }
    }

    // Where the way takes no more, or the user may have no more files under way, those before must have been received.
    private void Send(SafeFileHandle way)
    {
        int[] numbers = _opened.Peek();
        if (!UnixSocket.TrySendDescriptors(way, numbers))
        {
            Tell(() => _stalled = true);
            if (!AwaitHere(() => _underway == 0))
            {
                return;
            }

            UnixSocket.SendDescriptors(way, numbers);
        }

        Close(_opened.Dequeue());
        Tell(() => _underway++);
    }

    private void Close(int[] numbers)
    {
        for (int first = 0, next = 1; first < numbers.Length; next++)
        {
            _numbers.Free(numbers[next - 1]);
            if (next == numbers.Length || numbers[next] != numbers[next - 1] + 1)
            {
                Syscall.Check(Syscall.Invoke(SyscallNumber.close_range, numbers[first], numbers[next - 1], 0), "close_range");
                first = next;
            }
        }
    }

    // The socket belongs to the table of all threads.
    private SafeFileHandle Way(DescriptorChannel channel)
    {
        SafeFileHandle way = channel.OpenAgain();
        _numbers.Take((int)way.DangerousGetHandle());
        return way;
    }

    private void Tell(Action change)
    {
        lock (_turn)
        {
            change();
            Monitor.PulseAll(_turn);
        }
    }

    private void Await(Func<bool> hasCome)
    {
        lock (_turn)
        {
            while (_failure is null && !hasCome())
            {
                Monitor.Wait(_turn);
            }

            _failure?.Throw();
        }
    }

    // False when nobody waits for what is done here any more.
    private bool AwaitHere(Func<bool> hasCome)
    {
        lock (_turn)
        {
            while (!_ended && !hasCome())
            {
                Monitor.Wait(_turn);
            }

            return !_ended;
        }
    }
}
