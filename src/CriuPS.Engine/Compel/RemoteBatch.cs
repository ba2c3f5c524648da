using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Compel;

/// <summary>
/// System calls for a task that is ours alone (a newborn under PTRACE_O_EXITKILL): they are collected and run in as few programs as possible, those of several
/// tasks side by side.
/// </summary>
internal sealed class RemoteBatch : SyscallBatch
{
    /// <summary>How many messages one program receives: the queue of a socket takes ten where the system does not say otherwise (net.unix.max_dgram_qlen).</summary>
    public const int MostMessages = 8;

    // While the first of them run already, the next are written.
    private const int WrittenTogether = 64;

    private static readonly TimeSpan s_patience = TimeSpan.FromHours(1);

    private readonly Tracee _task;
    private readonly Arena _arena;
    private readonly ulong _address;
    private readonly int _size;
    private readonly Queue<SyscallProgram> _full = [];
    private SyscallProgram _program;
    private readonly List<(DescriptorReceipt Receipt, RemoteDescriptor[] Descriptors)> _receipts = [];

    /// <param name="task">Stopped, the arena mapped.</param>
    /// <param name="arena">Where the interpreter is.</param>
    /// <param name="offset">Where in the arena's data the programs of this task live.</param>
    /// <param name="size">How many bytes they may take.</param>
    public RemoteBatch(Tracee task, Arena arena, int offset, int size)
    {
        _task = task;
        _arena = arena;
        (_address, _size) = (arena.Data + (ulong)offset, size);
        _program = new SyscallProgram(_address, size);
    }

    public Tracee Task => _task;

    /// <summary>Whether nothing may run before <see cref="RunAll"/>: the task may not be born yet, or it is not its turn.</summary>
    public bool OnlyCollects { get; init; }

    /// <summary>
    /// The general registers of another task of its process that has run programs only; the same as this one's as far as it matters to a program, so that they need not
    /// be read of each.
    /// </summary>
    public Func<byte[]?>? Registers { get; init; }

    /// <summary>Runs what was collected for several tasks, all at once.</summary>
    /// <param name="batches">What was collected.</param>
    /// <param name="meanwhile">What there is to do while they run.</param>
    public static void RunAll(IEnumerable<RemoteBatch> batches, Action? meanwhile = null)
    {
        List<RemoteBatch> busy = [.. batches.Where(batch => batch.HasWork)];
        for (bool first = true; first || busy.Count > 0; first = false)
        {
            foreach (RemoteBatch[] some in busy.Chunk(WrittenTogether))
            {
                WriteAll(some);
                Array.ForEach(some, batch => batch.Begin());
            }

            if (first)
            {
                meanwhile?.Invoke();
            }

            busy.ForEach(batch => batch.Await());
            busy.RemoveAll(batch => !batch.HasWork);
        }
    }

    private bool HasWork => _program.Count > 0 || _full.Count > 0;

    // One call writes the programs of as many threads of a process as there are.
    private static void WriteAll(RemoteBatch[] batches)
    {
        foreach (IGrouping<int, RemoteBatch> process in batches.GroupBy(batch => batch._task.Pid))
        {
            List<MemoryPiece> pieces = [];
            foreach (RemoteBatch batch in process)
            {
                batch.Next.Begin();
                batch.Next.AddPieces(pieces);
            }

            ProcessVm.Write(process.Key, pieces);
        }
    }

    private SyscallProgram Next => _full.TryPeek(out SyscallProgram? full) ? full : _program;

    /// <summary>Makes sure that so many operations and bytes fit into one program; if they do not, what was collected runs, or waits in front of them.</summary>
    public override SyscallProgram Room(int operations, int bytes = 0)
    {
        if (_program.Fits(operations, bytes))
        {
            return _program;
        }

        if (OnlyCollects)
        {
            _full.Enqueue(_program);
            _program = new SyscallProgram(_address, _size);
        }
        else
        {
            Run();
        }

        return _program;
    }

    /// <summary>Adds the receipt of a message with descriptors, which operations may use from now on.</summary>
    /// <param name="socket">The socket's number in the task.</param>
    /// <param name="count">How many are sent.</param>
    public RemoteDescriptor[] Receive(int socket, int count)
    {
        if (_receipts.Count == MostMessages)
        {
            Run();
        }

        SyscallProgram program = Room(1, DescriptorReceipt.Size(count));
        DescriptorReceipt receipt = DescriptorReceipt.Add(program, socket, count, 0, $"{count} descriptors");
        RemoteDescriptor[] descriptors = [.. Enumerable.Range(0, count).Select(i => new RemoteDescriptor(receipt.Number(i)))];
        _receipts.Add((receipt, descriptors));
        return descriptors;
    }

    /// <summary>Runs what was collected and forgets it.</summary>
    public void Run()
    {
        if (_program.Count > 0)
        {
            Start();
            Await();
        }
    }

    /// <summary>Runs what was collected and keeps it for reading answers; <see cref="SyscallProgram.Clear"/> comes after that.</summary>
    public SyscallProgram RunAndLoad()
    {
        Start();
        _task.AwaitTrap(s_patience);
        TakeAnswers(_program);
        return _program;
    }

    /// <summary>Starts what was collected, for somebody else who waits for its end.</summary>
    public void Start()
    {
        _program.Store(_task.Pid);
        Begin();
    }

    private void Begin() => _task.StartProgram(_arena.Interpreter, _address, Registers?.Invoke());

    // Waits for the end of what runs, and forgets it.
    private void Await()
    {
        _task.AwaitTrap(s_patience);
        SyscallProgram program = Next;
        if (_receipts.Count > 0 || HasAnswers)
        {
            TakeAnswers(program);
        }
        else
        {
            program.LoadStatus(_task.Pid);
        }

        program.Clear();
        _full.TryDequeue(out _);
    }

    private void TakeAnswers(SyscallProgram program)
    {
        program.Fetch(_task.Pid);
        foreach ((DescriptorReceipt receipt, RemoteDescriptor[] descriptors) in _receipts.Where(r => r.Receipt.HasCome(program)))
        {
            TakeNumbers(program, receipt, descriptors);
        }

        _receipts.Clear();
        program.ThrowIfFailed(_task.Pid);
        Answer(program);
    }

    private void TakeNumbers(SyscallProgram program, DescriptorReceipt receipt, RemoteDescriptor[] descriptors)
    {
        int[] numbers = receipt.Numbers(program);
        if (numbers.Length != descriptors.Length)
        {
            throw new RemoteCallException(_task.Pid, $"receiving {descriptors.Length} descriptors", Errno.EMFILE)
            {
                Remedy = "raise the limit of open files (ulimit -n)",
            };
        }

        for (int i = 0; i < numbers.Length; i++)
        {
            descriptors[i].Arrive(numbers[i]);
        }
    }
}
