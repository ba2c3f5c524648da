namespace CriuPS.Engine.Compel;

/// <summary>System calls that are collected for whoever runs them later.</summary>
internal abstract class SyscallBatch
{
    /// <summary>Makes sure that so many operations and bytes fit into one program; what was collected may have to run for that.</summary>
    public abstract SyscallProgram Room(int operations, int bytes = 0);

    /// <summary>Adds one operation without data.</summary>
    public void Add(object subject, int number, params ReadOnlySpan<Argument> arguments) => Room(1).Add(subject, number, arguments);

    /// <summary>Looks at answers when what was collected so far has run.</summary>
    public abstract void Then(Action<SyscallProgram> look);
}
