using CriuPS.Engine.Compel;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// Which descriptors execve(2) closes (fdtable.close_on_exec). fdinfo tells it of each; the process itself is asked by F_GETFD where there is nothing else to
/// learn from there, since a file of /proc takes ten times as long as a system call. A restore sets it with the descriptors.
/// </summary>
internal sealed class CloseOnExec : ITaskState
{
    public int Room(TaskDump dump) => Asked(dump).Count() * SyscallProgram.OperationSize;

    public Action? Ask(TaskDump dump, SyscallProgram program)
    {
        List<(int Fd, Operation Flags)> answers =
            [.. Asked(dump).Select(file => (file.Fd, program.Add("fcntl(F_GETFD)", SyscallNumber.fcntl, file.Fd, Fcntl.F_GETFD)))];
        return answers.Count == 0 ? null : () =>
        {
            foreach ((int fd, Operation flags) in answers)
            {
                if ((program.Result(flags) & Fcntl.FD_CLOEXEC) != 0)
                {
                    dump.Process.ClosedOnExec.Add(fd);
                }
            }
        };
    }

    public void Restore(TaskRestore restore)
    {
    }

    private static IEnumerable<OpenFile> Asked(TaskDump dump) => dump.IsLeader ? dump.Process.Files.Where(file => file.Info is null) : [];
}
