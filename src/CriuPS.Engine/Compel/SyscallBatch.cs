namespace CriuPS.Engine.Compel;

/// <summary>System calls that are collected for whoever runs them later.</summary>
internal abstract class SyscallBatch
{
    private readonly List<Action<SyscallProgram>> _answers = [];

    /// <summary>Makes sure that so many operations and bytes fit into one program; what was collected may have to run for that.</summary>
    public abstract SyscallProgram Room(int operations, int bytes = 0);

    /// <summary>Adds one operation without data.</summary>
    public void Add(object subject, int number, params ReadOnlySpan<Argument> arguments) => Room(1).Add(subject, number, arguments);

    /// <summary>Looks at answers when what was collected so far has run.</summary>
    public void Then(Action<SyscallProgram> look) => _answers.Add(look);

    /// <summary>Whether anybody looks at answers.</summary>
    protected bool HasAnswers => _answers.Count > 0;

    /// <summary>Shows the answers to those who look at them; that is all that they wanted.</summary>
    protected void Answer(SyscallProgram program)
    {
        _answers.ForEach(look => look(program));
        _answers.Clear();
    }
}
