using CriuPS.Engine.Compel;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Objects.Tasks;

/// <summary>
/// Class and level with which the disk serves a thread (io_context.ioprio). Told and set by ioprio_get(2) and ioprio_set(2) in the thread itself. Class 0
/// is "none", which follows the nice value; a newborn has ours.
/// </summary>
internal sealed class IoPriority : ITaskState
{
    private const int IOPRIO_WHO_PROCESS = 1, ClassShift = 13;

    /// <summary>That of the calling thread, or the error.</summary>
    public static long OfCaller() => Syscall.Invoke(SyscallNumber.ioprio_get, IOPRIO_WHO_PROCESS, 0);

    public Action? Ask(TaskDump dump, SyscallProgram program)
    {
        Operation answer = program.Try("ioprio_get", SyscallNumber.ioprio_get, IOPRIO_WHO_PROCESS, 0);
        return () =>
        {
            // Kernels without block devices have none.
            if (program.Result(answer) is >= 0 and long priority)
            {
                dump.Extra.IoPriority = (uint)priority;
            }
        };
    }

    public void Restore(TaskRestore restore)
    {
        if (restore.Extra is { HasIoPriority: true } extra && extra.IoPriority != restore.Inherited.IoPriority)
        {
            // Class "none" may have no level when it is set, though one is told.
            long wanted = extra.IoPriority >> ClassShift == 0 ? 0 : (long)extra.IoPriority;
            restore.Batch.Add($"ioprio_set(0x{wanted:x})", SyscallNumber.ioprio_set, IOPRIO_WHO_PROCESS, 0, wanted);
        }
    }
}
