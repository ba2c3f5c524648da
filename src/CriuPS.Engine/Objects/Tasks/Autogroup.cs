using System.Globalization;
using CriuPS.Engine.Compel;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Objects.Tasks;

/// <summary>
/// The nice value of the group that the scheduler makes of a session (struct autogroup, sched(7)). /proc/PID/autogroup tells and sets it, where there is
/// CONFIG_SCHED_AUTOGROUP. It belongs to the session, so it is kept for a session's leader; a new session begins at 0.
/// </summary>
internal sealed class Autogroup : ITaskState
{
    private const string File = "autogroup", Mark = " nice ";

    public void Look(TaskDump dump)
    {
        if (dump.IsLeader && dump.Process.Stat.Session == dump.Process.Pid && Read(dump.Process.Pid) is not 0 and int nice)
        {
            dump.Process.Extra.AutogroupNice = nice;
        }
    }

    public void Restore(TaskRestore restore)
    {
        if (restore is { IsLeader: true, ProcessExtra: { HasAutogroupNice: true } extra })
        {
            ProcSetting.Write(restore.Pid, File, extra.AutogroupNice.ToString(CultureInfo.InvariantCulture));
        }
    }

    // "/autogroup-12 nice 3"; nothing where the process has none.
    private static int Read(int pid)
    {
        string text = ProcSetting.TryRead(pid, File) ?? "";
        int at = text.IndexOf(Mark, StringComparison.Ordinal);
        return at < 0 ? 0 : int.Parse(text.AsSpan(at + Mark.Length), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
    }
}
