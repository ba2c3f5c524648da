namespace CriuPS.Engine.Compel;

/// <summary>
/// System calls for a task that is ours alone (a newborn under PTRACE_O_EXITKILL): they are collected and run in as few programs as possible.
/// </summary>
internal sealed class RemoteBatch
{
    private static readonly TimeSpan s_patience = TimeSpan.FromHours(1);

    private readonly Tracee _task;
    private readonly Arena _arena;
    private readonly SyscallProgram _program;

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

    /// <summary>Runs what was collected and forgets it.</summary>
    public void Run()
    {
        if (_program.Count == 0)
        {
            _program.Clear();
            return;
        }

        Execute();
        _program.LoadStatus(_task.Pid);
        _program.Clear();
    }

    /// <summary>Runs what was collected and keeps it for reading answers; <see cref="SyscallProgram.Clear"/> comes after that.</summary>
    public SyscallProgram RunAndLoad()
    {
        Execute();
        _program.Load(_task.Pid);
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
        _task.AwaitTrap(s_patience);
        _program.LoadStatus(_task.Pid);
        _program.Clear();
    }

    private void Execute()
    {
        Start();
        _task.AwaitTrap(s_patience);
    }
}
