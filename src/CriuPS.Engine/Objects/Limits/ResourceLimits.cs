using System.Runtime.InteropServices;
using CriuPS.Engine.Compel;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Objects.Limits;

/// <summary>
/// The sixteen resource limits of a process (signal_struct.rlim, getrlimit(2)). Read and set by prlimit64(2) in the process itself: from outside, another uid
/// needs CAP_SYS_RESOURCE even to read them. A limit that is already right is left alone, so that nothing must be raised without need.
/// </summary>
internal sealed class ResourceLimits : ITaskState
{
    /// <summary>RLIM_NLIMITS.</summary>
    public const int Count = 16;

    /// <summary>struct rlimit64.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct rlimit64
    {
        public ulong rlim_cur;
        public ulong rlim_max;
    }

    private const int Size = 16;

    public Action? Ask(TaskDump dump, SyscallProgram program)
    {
        if (!dump.IsLeader)
        {
            return null;
        }

        ulong answers = program.Reserve(Count * Size);
        for (int resource = 0; resource < Count; resource++)
        {
            program.Add("prlimit64", SyscallNumber.prlimit64, 0, resource, 0, answers + (ulong)(resource * Size));
        }

        return () =>
        {
            dump.Core.Tc.Rlimits = new TaskRlimitsEntry();
            for (int resource = 0; resource < Count; resource++)
            {
                rlimit64 limit = program.Read<rlimit64>(answers + (ulong)(resource * Size));
                dump.Core.Tc.Rlimits.Rlimits.Add(new RlimitEntry { Cur = limit.rlim_cur, Max = limit.rlim_max });
            }
        };
    }

    public void Restore(TaskRestore restore)
    {
        if (!restore.IsLeader || restore.Core.Tc.Rlimits is not { } limits)
        {
            return;
        }

        for (int resource = 0; resource < Math.Min(Count, limits.Rlimits.Count); resource++)
        {
            RlimitEntry wanted = limits.Rlimits[resource];
            ResourceLimit present = restore.Inherited.Limits[resource];
            if ((wanted.Cur, wanted.Max) == (present.Soft, present.Hard))
            {
                continue;
            }

            SyscallProgram program = restore.Batch.Room(1, Size);
            ulong value = program.Put(new rlimit64 { rlim_cur = wanted.Cur, rlim_max = wanted.Max });
            program.Add($"prlimit64 of resource {resource} to {wanted.Cur}:{wanted.Max}", SyscallNumber.prlimit64, 0, resource, value, 0);
        }
    }
}
