using CriuPS.Engine.Compel;

namespace CriuPS.Engine.Objects;

/// <summary>
/// A kind of kernel object that belongs to a task or a process and that only the task itself can fully tell and set. Supporting another kind
/// is one more implementation and one line in <see cref="TaskStates"/>.
/// </summary>
internal interface ITaskState
{
    /// <summary>Bytes that its questions take beyond the usual, where they are as many as the task has objects.</summary>
    int Room(TaskDump dump) => 0;

    /// <summary>Takes what files of /proc tell, before the task is asked; any thread may do it for any task.</summary>
    void Look(TaskDump dump)
    {
    }

    /// <summary>Adds questions to the program that the task runs during the parasite phase.</summary>
    /// <param name="dump">The task, with everything that /proc and ptrace told.</param>
    /// <param name="program">Takes the questions; its answers are there when the returned action runs.</param>
    /// <returns>Writes the answers into the task's image; null where there was nothing to ask.</returns>
    Action? Ask(TaskDump dump, SyscallProgram program) => null;

    /// <summary>
    /// Adds operations that a newborn leader can only do while it has our root directory and no descriptors, when it has its memory.
    /// </summary>
    void RestoreEarly(TaskRestore restore)
    {
    }

    /// <summary>Adds the operations that give a newborn task the saved state.</summary>
    void Restore(TaskRestore restore);
}
