using System.Runtime.ExceptionServices;

namespace CriuPS.Engine.Compel;

/// <summary>Runs an operation on a thread of its own: ptrace belongs to a thread, and a pool's threads come and go.</summary>
internal static class OperationThread
{
    private const int StackSize = 4 << 20;

    /// <summary>Runs the work and hands its result, or its exception, to the caller.</summary>
    public static T Run<T>(string name, Func<T> work)
    {
        T? result = default;
        ExceptionDispatchInfo? failure = null;
        Thread thread = new(
            () =>
            {
                try
                {
                    result = work();
                }
                catch (Exception e)
                {
                    // Nothing may escape from a thread: it would end the shell.
                    failure = ExceptionDispatchInfo.Capture(e);
                }
            },
            StackSize) { Name = name, IsBackground = true };
        thread.Start();
        thread.Join();
        failure?.Throw();
        return result!;
    }
}
