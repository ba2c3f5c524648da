using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Restore;

/// <summary>Waiting for the end of a process that is not our child: a restored tree belongs to init.</summary>
public static class ProcessEnd
{
    /// <summary>Returns when the process has ended, at once if there is none of that number.</summary>
    /// <param name="pid">Its pid.</param>
    /// <param name="cancellation">Ends the waiting, not the process.</param>
    /// <exception cref="KernelException">It cannot be watched.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static void Wait(int pid, CancellationToken cancellation)
    {
        long opened = Syscall.Invoke(SyscallNumber.pidfd_open, pid);
        if (opened == -Errno.ESRCH)
        {
            return;
        }

        // pidfd_open(2): the descriptor polls as readable once the process terminates, a zombie included.
        using var pidfd = new SafeFileHandle((nint)Syscall.Check(opened, () => $"pidfd_open({pid})"), ownsHandle: true);
        Poll.WaitReadable(pidfd, cancellation);
    }
}
