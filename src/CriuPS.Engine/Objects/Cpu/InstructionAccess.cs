using CriuPS.Engine.Compel;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Objects.Cpu;

/// <summary>
/// Whether a thread may read the time stamp counter and identify the processor (TIF_NOTSC, TIF_NOCPUID); where not, rdtsc and cpuid raise SIGSEGV. Told and
/// set by prctl(PR_GET_TSC, PR_SET_TSC) and arch_prctl(ARCH_GET_CPUID, ARCH_SET_CPUID; Linux 4.12) in the thread itself.
/// </summary>
internal sealed class InstructionAccess : ITaskState
{
    private const int ARCH_GET_CPUID = 0x1011, ARCH_SET_CPUID = 0x1012;

    public Action? Ask(TaskDump dump, SyscallProgram program)
    {
        ulong stamp = program.Reserve(sizeof(ulong));
        program.Add("prctl(PR_GET_TSC)", SyscallNumber.prctl, Prctl.PR_GET_TSC, stamp);
        Operation identity = program.Try("arch_prctl(ARCH_GET_CPUID)", SyscallNumber.arch_prctl, ARCH_GET_CPUID, 0);
        return () =>
        {
            if (program.Read<int>(stamp) != Prctl.PR_TSC_ENABLE)
            {
                dump.Extra.TimeStamp = (uint)program.Read<int>(stamp);
            }

            if (program.Result(identity) == 0)
            {
                dump.Extra.CpuidFaults = true;
            }
        };
    }

    public void Restore(TaskRestore restore)
    {
        if (restore.Extra is { HasTimeStamp: true } extra)
        {
            restore.Batch.Add("prctl(PR_SET_TSC)", SyscallNumber.prctl, Prctl.PR_SET_TSC, (long)extra.TimeStamp);
        }

        if (restore.Extra is { CpuidFaults: true })
        {
            restore.Batch.Add("arch_prctl(ARCH_SET_CPUID)", SyscallNumber.arch_prctl, ARCH_SET_CPUID, 0);
        }
    }
}
