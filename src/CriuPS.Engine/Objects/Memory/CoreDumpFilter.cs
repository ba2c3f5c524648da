using CriuPS.Engine.Compel;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Objects.Tasks;
using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Objects.Memory;

/// <summary>
/// Which kinds of memory go into a core file (flags of mm_struct, core(5)). /proc/PID/coredump_filter tells and sets them; a kernel without core files has none.
/// </summary>
internal sealed class CoreDumpFilter : ITaskState
{
    private const string File = "coredump_filter";

    public void Look(TaskDump dump)
    {
        if (dump.IsLeader && Read(dump.Process.Proc) is { } filter)
        {
            dump.Process.Extra.CoredumpFilter = filter;
        }
    }

    public void Restore(TaskRestore restore)
    {
        if (restore is { IsLeader: true, ProcessExtra: { HasCoredumpFilter: true } extra } && extra.CoredumpFilter != restore.Inherited.CoreDumpFilter)
        {
            ProcSetting.Write(restore.Pid, File, $"0x{extra.CoredumpFilter:x}");
        }
    }

    /// <summary>That of a process; null where the kernel has none, or the process no memory.</summary>
    public static uint? Read(ProcDirectory proc)
    {
        try
        {
            return ProcAttributes.ReadCoreDumpFilter(proc);
        }
        catch (CriuException missing) when (missing.Id == "ProcFileMissing")
        {
            return null;
        }
    }
}
