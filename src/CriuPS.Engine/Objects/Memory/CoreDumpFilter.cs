using System.Globalization;
using CriuPS.Engine.Compel;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects.Tasks;

namespace CriuPS.Engine.Objects.Memory;

/// <summary>
/// Which kinds of memory go into a core file (flags of mm_struct, core(5)). /proc/PID/coredump_filter tells and sets them; a kernel without core files has none.
/// </summary>
internal sealed class CoreDumpFilter : ITaskState
{
    private const string File = "coredump_filter";

    public Action? Ask(TaskDump dump, SyscallProgram program)
    {
        if (dump.IsLeader && Read(dump.Process.Pid) is { } filter)
        {
            dump.Process.Extra.CoredumpFilter = filter;
        }

        return null;
    }

    public void Restore(TaskRestore restore)
    {
        if (restore is { IsLeader: true, ProcessExtra: { HasCoredumpFilter: true } extra } && Read(restore.Pid) != extra.CoredumpFilter)
        {
            ProcSetting.Write(restore.Pid, File, $"0x{extra.CoredumpFilter:x}");
        }
    }

    private static uint? Read(int pid) =>
        ProcSetting.TryRead(pid, File) is { Length: > 0 } text ? uint.Parse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture) : null;
}
