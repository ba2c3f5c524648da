using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects.Files;
using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Dump;

/// <summary>
/// The questions to the kernel's own memory that are worth their time for a tree. The kernel checks them when they are put together, which is begun beside everything
/// else before anybody is stopped.
/// </summary>
internal sealed class KernelQuestions : IDisposable
{
    // For fewer threads the question takes longer than what it saves.
    private const int ManyThreads = 100;

    private readonly Task<TaskStructs?> _tasks;
    private Task<FileStructs?>? _files;

    /// <param name="root">The root of the tree, which runs on.</param>
    public KernelQuestions(int root) => _tasks = Task.Run(() => TryPrepare(root));

    /// <summary>The question about tasks; null where it is not worth its time, or the kernel does not tell.</summary>
    public TaskStructs? Tasks => _tasks.GetAwaiter().GetResult();

    /// <summary>The question about open files; null where it is not worth its time, or the kernel does not tell.</summary>
    public FileStructs? Files => _files?.GetAwaiter().GetResult();

    /// <summary>Begins what depends on the sizes of tables of descriptors.</summary>
    /// <param name="slots">How many numbers the largest of them has room for.</param>
    public void ExpectFiles(int slots)
    {
        if (slots >= 2 * FileTable.ManySlots)
        {
            _files ??= Task.Run(FileStructs.TryPrepare);
        }
    }

    /// <summary>Waits for what has begun, and forgets it.</summary>
    public void Dispose()
    {
        Dispose(_tasks);
        if (_files is { } files)
        {
            Dispose(files);
        }
    }

    private static void Dispose<T>(Task<T?> question) where T : class, IDisposable
    {
        Workers.AwaitQuietly(question);
        if (question.IsCompletedSuccessfully)
        {
            question.Result?.Dispose();
        }
    }

    private static TaskStructs? TryPrepare(int root)
    {
        using ProcDirectory proc = new(root);
        return ProcKeys.MayHaveSessions() || ProcStat.Read(proc).Threads >= ManyThreads ? TaskStructs.TryPrepare() : null;
    }
}
