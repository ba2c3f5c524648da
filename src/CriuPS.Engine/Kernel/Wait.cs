namespace CriuPS.Engine.Kernel;

/// <summary>What wait4(2) said of a task.</summary>
/// <param name="Tid">The task.</param>
/// <param name="Status">The wait status.</param>
internal readonly record struct WaitStatus(int Tid, int Status)
{
    public bool IsStopped => (Status & 0xff) == 0x7f;

    public bool IsExited => (Status & 0x7f) == 0;

    public bool IsSignaled => !IsStopped && !IsExited;

    public bool IsGone => !IsStopped;

    public int ExitCode => (Status >> 8) & 0xff;

    public int TermSignal => Status & 0x7f;

    /// <summary>The signal of the stop; SIGTRAP in a ptrace event stop.</summary>
    public int StopSignal => (Status >> 8) & 0xff;

    /// <summary>The ptrace event of the stop, 0 where there is none.</summary>
    public int Event => Status >> 16;

    /// <summary>Whether it stands at the entry or exit of a system call (PTRACE_O_TRACESYSGOOD).</summary>
    public bool IsSyscallStop => IsStopped && StopSignal == (Signals.SIGTRAP | Ptrace.SyscallStop) && Event == 0;

    public bool IsEventStop => IsStopped && Event == Ptrace.PTRACE_EVENT_STOP;

    public override string ToString() =>
        IsStopped ? $"stopped by signal {StopSignal}, event {Event}" : IsExited ? $"exited with code {ExitCode}" : $"killed by signal {TermSignal}";
}

/// <summary>wait4(2) as a tracer uses it.</summary>
internal static unsafe class Wait
{
    public const int WNOHANG = 1, WSTOPPED = 2, P_PID = 1, __WNOTHREAD = 0x20000000, __WALL = 0x40000000;

    /// <summary>One look at a task (or at any child or tracee of this very thread with -1): its news, or null where there are none.</summary>
    public static WaitStatus? Poll(int tid) => Call(tid, WNOHANG | __WALL | __WNOTHREAD);

    /// <summary>One look at all children and tracees of this very thread.</summary>
    /// <param name="news">The news of one of them, or null where there are none.</param>
    /// <returns>False if there is nobody.</returns>
    public static bool PollAny(out WaitStatus? news)
    {
        int status;
        long result = Syscall.Invoke(SyscallNumber.wait4, -1, (long)&status, WNOHANG | __WALL | __WNOTHREAD);
        news = result > 0 ? new WaitStatus((int)result, status) : null;
        return result != -Errno.ECHILD;
    }

    /// <summary>Waits until this process has no children any more.</summary>
    public static void ForAllChildren()
    {
        long result;
        do
        {
            result = Syscall.Invoke(SyscallNumber.wait4, -1, 0, __WALL);
        }
        while (result > 0 || result == -Errno.EINTR);
    }

    /// <summary>Waits for the end of a child of this process; the result is its wait status.</summary>
    /// <exception cref="Errors.KernelException">It is no child of ours.</exception>
    public static int ForChild(int pid) => Call(pid, 0)!.Value.Status;

    private static WaitStatus? Call(int tid, int options)
    {
        while (true)
        {
            int status;
            long result = Syscall.Invoke(SyscallNumber.wait4, tid, (long)&status, options);
            if (result == -Errno.EINTR)
            {
                continue;
            }

            Syscall.Check(result, () => $"wait4({tid})");
            return result == 0 ? null : new WaitStatus((int)result, status);
        }
    }
}
