namespace CriuPS.Engine.Compel;

/// <summary>System calls that the thread makes which collects them.</summary>
internal sealed class OwnBatch : SyscallBatch
{
    private const int Size = 64 << 10;

    private readonly SyscallProgram _program = SyscallProgram.OfThisProcess(Size);

    /// <inheritdoc/>
    public override SyscallProgram Room(int operations, int bytes = 0)
    {
        if (!_program.Fits(operations, bytes))
        {
            Run();
        }

        return _program;
    }

    /// <summary>Runs what was collected and forgets it.</summary>
    /// <exception cref="Errors.KernelException">A call failed.</exception>
    public void Run()
    {
        _program.RunHere();
        Answer(_program);
        _program.Clear();
    }
}
