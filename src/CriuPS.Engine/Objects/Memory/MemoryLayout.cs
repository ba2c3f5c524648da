using System.Runtime.InteropServices;
using CriuPS.Engine.Compel;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Objects.Memory;

/// <summary>
/// The borders of an address space (mm_struct: code, data, heap, stack, arguments, environment, auxiliary vector, executable). /proc/PID/stat and auxv tell
/// them, the current end of the heap only brk(2) in the process. prctl(PR_SET_MM, PR_SET_MM_MAP) sets all at once and needs no CAP_SYS_RESOURCE, once no
/// mapping of the old executable is left (kernel/sys.c, prctl_set_mm_map).
/// </summary>
internal sealed class MemoryLayout : ITaskState
{
    /// <summary>struct prctl_mm_map, include/uapi/linux/prctl.h.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct prctl_mm_map
    {
        public ulong start_code;
        public ulong end_code;
        public ulong start_data;
        public ulong end_data;
        public ulong start_brk;
        public ulong brk;
        public ulong start_stack;
        public ulong arg_start;
        public ulong arg_end;
        public ulong env_start;
        public ulong env_end;
        public ulong auxv;
        public uint auxv_size;
        public uint exe_fd;
    }

    private const int StructSize = 104;

    public void Look(TaskDump dump)
    {
        if (!dump.IsLeader)
        {
            return;
        }

        ProcessDump process = dump.Process;
        ProcStat stat = process.Stat;
        MmEntry mm = process.Mm;
        (mm.MmStartCode, mm.MmEndCode, mm.MmStartData, mm.MmEndData) = (stat.StartCode, stat.EndCode, stat.StartData, stat.EndData);
        (mm.MmStartStack, mm.MmStartBrk) = (stat.StartStack, stat.StartBrk);
        (mm.MmArgStart, mm.MmArgEnd, mm.MmEnvStart, mm.MmEnvEnd) = (stat.ArgStart, stat.ArgEnd, stat.EnvStart, stat.EnvEnd);
        mm.MmSavedAuxv.AddRange(WithoutEnd(MemoryMarshal.Cast<byte, ulong>(process.Proc.ReadBytes("auxv"))));
    }

    /// <summary>
    /// An auxiliary vector without the pair that ends it (AT_NULL). CRIU restores no more than 44 words on x86-64, which Linux 6.18 fills without that pair;
    /// prctl(PR_SET_MM_MAP) fills what it is not given with zeros, so that the end comes back by itself.
    /// </summary>
    public static ulong[] WithoutEnd(ReadOnlySpan<ulong> auxv)
    {
        for (int i = 0; i + 1 < auxv.Length; i += 2)
        {
            if (auxv[i] == 0)
            {
                return auxv[..i].ToArray();
            }
        }

        return auxv.ToArray();
    }

    public Action? Ask(TaskDump dump, SyscallProgram program)
    {
        if (!dump.IsLeader)
        {
            return null;
        }

        Operation answer = program.Add("brk", SyscallNumber.brk, 0);
        return () => dump.Process.Mm.MmBrk = (ulong)program.Result(answer);
    }

    public void Restore(TaskRestore restore)
    {
    }

    /// <summary>Sets the borders and the executable.</summary>
    /// <param name="batch">The process, its old executable unmapped.</param>
    /// <param name="mm">The image.</param>
    /// <param name="exe">The executable's number in the process; -1 where it has the right one already.</param>
    public static void Restore(RemoteBatch batch, MmEntry mm, int exe)
    {
        ulong[] auxv = [.. mm.MmSavedAuxv];
        int auxvSize = auxv.Length * sizeof(ulong);
        SyscallProgram program = batch.Room(1, StructSize + auxvSize);
        ulong vector = program.Put(MemoryMarshal.AsBytes(auxv.AsSpan()));
        ulong map = program.Put(new prctl_mm_map
        {
            start_code = mm.MmStartCode, end_code = mm.MmEndCode, start_data = mm.MmStartData, end_data = mm.MmEndData,
            start_brk = mm.MmStartBrk, brk = mm.MmBrk, start_stack = mm.MmStartStack, arg_start = mm.MmArgStart, arg_end = mm.MmArgEnd,
            env_start = mm.MmEnvStart, env_end = mm.MmEnvEnd, auxv = vector, auxv_size = (uint)auxvSize, exe_fd = unchecked((uint)exe),
        });
        program.Add("prctl(PR_SET_MM_MAP)", SyscallNumber.prctl, Prctl.PR_SET_MM, Prctl.PR_SET_MM_MAP, map, StructSize, 0);
    }
}
