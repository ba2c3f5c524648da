using CriuPS.Engine.Compel;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// A kind whose files a process makes by itself with a few system calls, where nobody else has them: then nothing need be opened here, sent and received, which takes
/// several times as long.
/// </summary>
internal interface ISelfMade
{
    /// <summary>Whether this file can be made so.</summary>
    bool CanBeSelfMade(FileEntry entry, FileOpening opening);

    /// <summary>Whether there is something left to do when the process has all its files.</summary>
    bool NeedsSettling => false;

    /// <summary>Adds the calls that make it.</summary>
    /// <param name="entry">The file.</param>
    /// <param name="number">The lowest number that is free in the process then: what it will get.</param>
    /// <param name="closeOnExec">Whether execve(2) closes that descriptor.</param>
    /// <param name="batch">The process, or a thread of ours.</param>
    void AddMaking(FileEntry entry, int number, bool closeOnExec, SyscallBatch batch);
}
