namespace CriuPS.Engine.Kernel;

/// <summary>Effective user and group of the calling thread alone: the system calls know threads, and only the C library makes them mean the whole process.</summary>
internal static class ThreadCredentials
{
    public const int SECBIT_NO_SETUID_FIXUP = 4;

    private const long Unchanged = uint.MaxValue;

    /// <summary>Runs something as another user, with the capabilities that the thread has; as itself, where it may not be that user.</summary>
    public static void RunAs(uint uid, uint gid, Action action)
    {
        uint ownUid = (uint)Syscall.Invoke(SyscallNumber.geteuid), ownGid = (uint)Syscall.Invoke(SyscallNumber.getegid);
        if ((uid, gid) == (ownUid, ownGid))
        {
            action();
            return;
        }

        long bits = Syscall.Check(Syscall.Invoke(SyscallNumber.prctl, Prctl.PR_GET_SECUREBITS), "prctl(PR_GET_SECUREBITS)");
        bool keeps = !Syscall.IsError(Syscall.Invoke(SyscallNumber.prctl, Prctl.PR_SET_SECUREBITS, bits | SECBIT_NO_SETUID_FIXUP));
        try
        {
            if (keeps && !Syscall.IsError(Syscall.Invoke(SyscallNumber.setresgid, Unchanged, gid, Unchanged)))
            {
                Syscall.Invoke(SyscallNumber.setresuid, Unchanged, uid, Unchanged);
            }

            action();
        }
        finally
        {
            Syscall.Check(Syscall.Invoke(SyscallNumber.setresuid, Unchanged, ownUid, Unchanged), "setresuid");
            Syscall.Check(Syscall.Invoke(SyscallNumber.setresgid, Unchanged, ownGid, Unchanged), "setresgid");
            if (keeps)
            {
                Syscall.Check(Syscall.Invoke(SyscallNumber.prctl, Prctl.PR_SET_SECUREBITS, bits), "prctl(PR_SET_SECUREBITS)");
            }
        }
    }
}
