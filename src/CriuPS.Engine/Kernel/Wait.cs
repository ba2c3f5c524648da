using CriuPS.Engine.Errors;

namespace CriuPS.Engine.Kernel;

/// <summary>What wait4(2) said of a task.</summary>
/// <param name="Tid">The task.</param>
/// <param name="Status">The wait status.</param>
internal readonly record struct WaitStatus(int Tid, int Status)
{
    private const int Stopped = 0x7f;

    public bool IsStopped => (Status & 0xff) == Stopped;

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

    /// <summary>
    /// What the kernel would have said of a stop whose news another thread of this process has taken (waitpid(2) takes the stops of tracees of all threads):
    /// an event or a system call's stop tells its whole code, a signal's stop its signal (kernel/signal.c, ptrace_do_notify and ptrace_signal).
    /// </summary>
    /// <param name="tid">The task.</param>
    /// <param name="signal">si_signo of the stop.</param>
    /// <param name="code">si_code of the stop; those of signals are below 256.</param>
    public static WaitStatus OfStop(int tid, int signal, int code)
    {
        bool isEvent = code > 0xff || code == (Signals.SIGTRAP | Ptrace.SyscallStop);
        return new WaitStatus(tid, ((isEvent ? code : signal) << 8) | Stopped);
    }

    /// <summary>What is said of a task that has ended and belongs to another thread of this process, which reaps it, or has done so.</summary>
    public static WaitStatus OfReaped(int tid) => new(tid, Signals.SIGKILL);

    public override string ToString() =>
        IsStopped ? $"stopped by signal {StopSignal}, event {Event}" : IsExited ? $"exited with code {ExitCode}" : $"killed by signal {TermSignal}";
}

/// <summary>wait4(2) as a tracer uses it.</summary>
internal static unsafe class Wait
{
    public const int CLD_EXITED = 1, CLD_KILLED = 2, CLD_DUMPED = 3;
    public const int WNOHANG = 1, WSTOPPED = 2, WEXITED = 4, WNOWAIT = 0x1000000, P_PID = 1, __WNOTHREAD = 0x20000000, __WALL = 0x40000000;

    /// <summary>One look at a task (or at any child or tracee of this very thread with -1): its news, or null where there are none.</summary>
    public static WaitStatus? Poll(int tid)
    {
        try
        {
            return Call(tid, WNOHANG | __WALL | __WNOTHREAD);
        }
        catch (KernelException e) when (e.Errno == Errno.ECHILD && !Signals.Exists(tid))
        {
            return WaitStatus.OfReaped(tid);
        }
    }

    /// <summary>Whether a child or tracee of this very thread has ended; it is left to be reaped.</summary>
    public static bool HasEnded(int pid)
    {
        int* info = stackalloc int[Ptrace.SiginfoSize / sizeof(int)];
        Syscall.Check(
            Syscall.Invoke(SyscallNumber.waitid, P_PID, pid, (long)info, WEXITED | WNOHANG | WNOWAIT | __WALL | __WNOTHREAD, 0), () => $"waitid({pid})");
        return info[0] == Signals.SIGCHLD && info[2] is CLD_EXITED or CLD_KILLED or CLD_DUMPED;
    }

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
    /// <exception cref="KernelException">It is no child of ours.</exception>
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
