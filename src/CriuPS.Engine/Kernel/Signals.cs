namespace CriuPS.Engine.Kernel;

/// <summary>Signal numbers of x86-64 and arm64, and the calls that send them.</summary>
internal static unsafe class Signals
{
    public const int SIGINT = 2, SIGILL = 4, SIGTRAP = 5, SIGBUS = 7, SIGFPE = 8, SIGKILL = 9, SIGSEGV = 11, SIGPIPE = 13, SIGCHLD = 17, SIGCONT = 18, SIGSTOP = 19;
    public const int SIGTSTP = 20, SIGTTIN = 21, SIGTTOU = 22, SIGURG = 23, SIGSYS = 31;

    /// <summary>How many signals there are; they are numbered from 1.</summary>
    public const int Count = 64;

    /// <summary>Whether a process still exists (signal 0), dead but unreaped ones included.</summary>
    public static bool Exists(int pid) => Syscall.Invoke(SyscallNumber.kill, pid, 0) != -Errno.ESRCH;

    public static void Kill(int pid, int signal) =>
        Syscall.Check(Syscall.Invoke(SyscallNumber.kill, pid, signal), () => $"kill({pid}, {signal})");

    /// <summary>Sets the action of a signal in this process; the result is the one it had.</summary>
    public static KernelSigAction SetAction(int signal, KernelSigAction action)
    {
        KernelSigAction old;
        Syscall.Check(
            Syscall.Invoke(SyscallNumber.rt_sigaction, signal, (long)&action, (long)&old, sizeof(ulong)), () => $"rt_sigaction({signal})");
        return old;
    }

    public static void ThreadKill(int pid, int tid, int signal) =>
        Syscall.Check(Syscall.Invoke(SyscallNumber.tgkill, pid, tid, signal), () => $"tgkill({pid}, {tid}, {signal})");
}
