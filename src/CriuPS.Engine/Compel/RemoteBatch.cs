using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Compel;

/// <summary>
/// System calls for a task that is ours alone (a newborn under PTRACE_O_EXITKILL): they are collected and run in as few programs as possible, those of several
/// tasks side by side.
/// </summary>
internal sealed class RemoteBatch
{
    // The queue of a socket takes no more than ten messages where the system does not say otherwise (net.unix.max_dgram_qlen).
    private const int MostMessages = 8;

    private static readonly TimeSpan s_patience = TimeSpan.FromHours(1);

    private readonly Tracee _task;
    private readonly Arena _arena;
    private readonly SyscallProgram _program;
    private readonly List<(DescriptorReceipt Receipt, RemoteDescriptor[] Descriptors)> _receipts = [];
    private readonly List<Action<SyscallProgram>> _answers = [];

    /// <param name="task">Stopped, the arena mapped.</param>
    /// <param name="arena">Where the interpreter is.</param>
    /// <param name="offset">Where in the arena's data the programs of this task live.</param>
    /// <param name="size">How many bytes they may take.</param>
    public RemoteBatch(Tracee task, Arena arena, int offset, int size)
    {
        _task = task;
        _arena = arena;
        _program = new SyscallProgram(arena.Data + (ulong)offset, size);
    }

    public Tracee Task => _task;

    /// <summary>Runs what was collected for several tasks, all at once.</summary>
    public static void RunAll(IEnumerable<RemoteBatch> batches)
    {
        List<RemoteBatch> busy = [.. batches.Where(batch => batch._program.Count > 0)];
        busy.ForEach(batch => batch.Start());
        busy.ForEach(batch => batch.Finish());
    }

    /// <summary>Makes sure that so many operations and bytes fit into one program; runs what was collected if they do not.</summary>
    public SyscallProgram Room(int operations, int bytes = 0)
    {
        if (!_program.Fits(operations, bytes))
        {
            Run();
        }

        return _program;
    }

    /// <summary>Adds one operation without data.</summary>
    public void Add(object subject, int number, params ReadOnlySpan<Argument> arguments) => Room(1).Add(subject, number, arguments);

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

    /// <summary>Looks at answers when what was collected so far has run.</summary>
    public void Then(Action<SyscallProgram> look) => _answers.Add(look);

    /// <summary>Runs what was collected and forgets it.</summary>
    public void Run()
    {
        if (_program.Count > 0)
        {
            Start();
            Finish();
        }
    }

    /// <summary>Runs what was collected and keeps it for reading answers; <see cref="SyscallProgram.Clear"/> comes after that.</summary>
    public SyscallProgram RunAndLoad()
    {
        Start();
        Await();
        return _program;
    }

    /// <summary>Starts what was collected; <see cref="Finish"/> waits for its end. Batches of several tasks run side by side.</summary>
    public void Start()
    {
        _program.Store(_task.Pid);
        _task.StartProgram(_arena.Interpreter, _program.Address);
    }

    /// <summary>Waits for the end of what was started and forgets it.</summary>
    public void Finish()
    {
        if (_receipts.Count > 0 || _answers.Count > 0)
        {
            Await();
        }
        else
        {
            _task.AwaitTrap(s_patience);
            _program.LoadStatus(_task.Pid);
        }

        _program.Clear();
    }

    private void Await()
    {
        _task.AwaitTrap(s_patience);
        _program.Fetch(_task.Pid);
        foreach ((DescriptorReceipt receipt, RemoteDescriptor[] descriptors) in _receipts.Where(r => r.Receipt.HasCome(_program)))
        {
            TakeNumbers(receipt, descriptors);
        }

        _receipts.Clear();
        _program.ThrowIfFailed(_task.Pid);
        _answers.ForEach(look => look(_program));
        _answers.Clear();
    }

    private void TakeNumbers(DescriptorReceipt receipt, RemoteDescriptor[] descriptors)
    {
        int[] numbers = receipt.Numbers(_program);
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
