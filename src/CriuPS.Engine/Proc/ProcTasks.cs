using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Proc;

/// <summary>/proc/PID/task: the tasks of a process and the children of each (proc_pid_task(5), proc_tid_children(5)).</summary>
public static class ProcTasks
{
    /// <summary>The tasks, the oldest first: the leader comes first while it lives.</summary>
    /// <inheritdoc cref="ProcDirectory.Parse{T}"/>
    public static List<int> List(ProcDirectory directory) => directory.ListNumbers("task");

    /// <summary>
    /// The children of all tasks. Only of a frozen process, whose children are frozen as well, is the list sure to be complete
    /// (fs/proc/array.c, get_children_pid). Needs CONFIG_PROC_CHILDREN, else <c>ProcFileMissing</c>.
    /// </summary>
    /// <inheritdoc cref="ProcDirectory.Parse{T}"/>
    public static List<int> ListChildren(ProcDirectory directory) => ListChildren(directory, List(directory));

    /// <summary>The children of some tasks.</summary>
    internal static List<int> ListChildren(ProcDirectory directory, IReadOnlyList<int> tasks) =>
        [.. Workers.Map(tasks, tid => ChildrenOf(directory, tid)).SelectMany(some => some)];

    /// <summary>
    /// The children of the first task: most often all, and also those that have come to the process because their parent has ended (kernel/exit.c, find_alive_thread).
    /// </summary>
    /// <inheritdoc cref="ProcDirectory.Parse{T}"/>
    internal static List<int> ListChildrenOfLeader(ProcDirectory directory) => ChildrenOf(directory, directory.Pid);

    private static List<int> ChildrenOf(ProcDirectory directory, int tid)
    {
        try
        {
            return directory.Parse($"task/{tid}/children", ParseChildren);
        }
        catch (CriuException missing) when (missing.Id == "ProcFileMissing")
        {
            // Which is missing, the task or the file? Seldom asked, so that a thousand directories need not be opened.
            return ChildrenOrNone(directory, tid);
        }
    }

    // The children of a task that ended in between have become those of another task of the process.
    private static List<int> ChildrenOrNone(ProcDirectory directory, int tid)
    {
        try
        {
            using ProcDirectory task = directory.OpenTask(tid);
            return task.Parse("children", ParseChildren);
        }
        catch (CriuException gone) when (gone.Id == "ProcessGone" && directory.Exists)
        {
            return [];
        }
    }

    /// <summary>Parses the text of a children file.</summary>
    /// <exception cref="CriuException"><c>MalformedProc</c>.</exception>
    public static List<int> ParseChildren(ReadOnlySpan<byte> text, ProcSource source = default)
    {
        var pids = new List<int>();
        var cursor = new ProcCursor(text, source);
        for (cursor.SkipBlanks(); !cursor.AtEnd; cursor.SkipBlanks())
        {
            pids.Add(cursor.SmallDecimal("a pid"));
        }

        return pids;
    }
}
