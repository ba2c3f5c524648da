using System.Globalization;
using System.Text;
using CriuPS.Engine.Compel;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Tasks;

/// <summary>Small numbers of a process that live in files of /proc/PID.</summary>
internal static class ProcSetting
{
    private const int LongestText = 256;

    /// <summary>The value; null where the kernel has no such file, or nothing to say in it.</summary>
    public static string? TryRead(int pid, string name)
    {
        string path = $"/proc/{pid}/{name}";
        using SafeFileHandle? file = OpenAt.TryOpen(null, CString.From(path), OpenAt.O_RDONLY, out int errno);
        if (file is null)
        {
            return errno == Errno.ENOENT ? null : throw new KernelException($"open({path})", errno) { Pid = pid };
        }

        Span<byte> text = stackalloc byte[LongestText];
        long length = FileRead.Read(file, text);
        return length == -Errno.EINVAL ? null : Encoding.UTF8.GetString(text[..(int)Syscall.Check(length, () => $"read({path})")]).Trim();
    }

    /// <summary>Writes the value unless it is there already, so that no privilege is needed without need.</summary>
    public static void Write(int pid, string name, string value)
    {
        if (TryRead(pid, name) == value)
        {
            return;
        }

        try
        {
            File.WriteAllText($"/proc/{pid}/{name}", value);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CriuException("SettingRefused", CriuErrorKind.PermissionDenied, $"process {pid}: {name} cannot be set to {value}: {e.Message}", e)
            {
                Pid = pid, Subject = name,
            };
        }
    }
}

/// <summary>/proc/PID/oom_score_adj: how willingly the kernel ends the process when memory runs out (signal_struct.oom_score_adj).</summary>
internal sealed class OomScore : ITaskState
{
    public void Look(TaskDump dump)
    {
        if (dump.IsLeader)
        {
            dump.Core.Tc.OomScoreAdj = ProcAttributes.ReadOomScoreAdjustment(dump.Process.Proc);
        }
    }

    public void Restore(TaskRestore restore)
    {
        if (restore.IsLeader && restore.Core.Tc.HasOomScoreAdj && restore.Core.Tc.OomScoreAdj != restore.Inherited.OomScore)
        {
            ProcSetting.Write(restore.Pid, "oom_score_adj", restore.Core.Tc.OomScoreAdj.ToString(CultureInfo.InvariantCulture));
        }
    }
}

/// <summary>
/// Who logged in (task_struct.loginuid); absent without CONFIG_AUDIT. /proc/PID/loginuid tells it, and takes it from nobody but the process itself
/// (fs/proc/base.c, proc_loginuid_write), so a newborn opens and writes the file. Only one that was never set can be set without CAP_AUDIT_CONTROL
/// (kernel/audit.c, audit_set_loginuid_perm).
/// </summary>
internal sealed class LoginUid : ITaskState
{
    public void Look(TaskDump dump)
    {
        if (dump.IsLeader && ProcAttributes.ReadLoginUid(dump.Process.Proc) is { } uid)
        {
            dump.Core.Tc.Loginuid = uid;
        }
    }

    public void RestoreEarly(TaskRestore restore)
    {
        // A child has its parent's, who has its own already.
        string saved = restore.Core.Tc.Loginuid.ToString(CultureInfo.InvariantCulture);
        if (!restore.Core.Tc.HasLoginuid || !restore.Inherited.LoginUidsDiffer || ProcSetting.TryRead(restore.Pid, "loginuid") == saved)
        {
            return;
        }

        SyscallProgram program = restore.Batch.Room(3, 64);
        ulong path = program.Put("/proc/self/loginuid\0"u8), text = program.Put(Encoding.ASCII.GetBytes(saved));
        Operation file = program.Add("open of /proc/self/loginuid", SyscallNumber.openat, OpenAt.AT_FDCWD, path, OpenAt.O_WRONLY);
        program.Add($"loginuid {saved}", SyscallNumber.write, file, text, saved.Length);
        program.Add("close of /proc/self/loginuid", SyscallNumber.close, file);
    }

    public void Restore(TaskRestore restore)
    {
    }
}
