using CriuPS.Engine.Compel;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Objects.Memory;

/// <summary>
/// Whether memory that a process will map is locked at once (mm_struct.def_flags, mlockall(2) with MCL_FUTURE and MCL_ONFAULT). Nothing tells it, but what we
/// have just mapped into the process shows it: its locked memory has grown by our arena. mlockall(2) sets it again.
/// </summary>
internal sealed class FutureLocks : ITaskState
{
    private const uint MCL_FUTURE = 2, MCL_ONFAULT = 4;

    public Action? Ask(TaskDump dump, SyscallProgram program)
    {
        ProcessDump process = dump.Process;
        if (dump.IsLeader && ProcStatus.ReadLockedSize(process.Proc) > process.Status.LockedSize)
        {
            VmFlags ours = ProcSmaps.ReadFlags(process.Proc).First(entry => entry.Vma.Start <= program.Address && program.Address < entry.Vma.End).Flags;
            process.Extra.FutureLocks = MCL_FUTURE | ((ours & VmFlags.LockOnFault) != 0 ? MCL_ONFAULT : 0);
        }

        return null;
    }

    public void Restore(TaskRestore restore)
    {
        if (restore is { IsLeader: true, ProcessExtra: { HasFutureLocks: true } extra })
        {
            restore.Batch.Add("mlockall", SyscallNumber.mlockall, (long)extra.FutureLocks);
        }
    }
}
