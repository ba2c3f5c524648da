using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Kernel;

/// <summary>pidfd_open(2), pidfd_getfd(2), pidfd_send_signal(2).</summary>
internal static class PidFd
{
    public static SafeFileHandle Open(int pid, int flags = 0) =>
        new((nint)Syscall.Check(Syscall.Invoke(SyscallNumber.pidfd_open, pid, flags), () => $"pidfd_open({pid})"), ownsHandle: true);

    /// <summary>A duplicate of another process's descriptor: the same open file. Needs ptrace access to it.</summary>
    public static SafeFileHandle GetFd(SafeFileHandle pidfd, int fd) =>
        new(
            (nint)Syscall.Check(
                Syscall.Invoke(SyscallNumber.pidfd_getfd, pidfd.DangerousGetHandle(), fd, 0),
                () => $"pidfd_getfd(fd {fd})"),
            ownsHandle: true);

    /// <summary>A duplicate of another process's descriptor for the length of a block.</summary>
    /// <param name="pidfd">The process.</param>
    /// <param name="fd">The descriptor's number there.</param>
    /// <param name="errno">Zero, or why there is none: EBADF where the process has no such descriptor.</param>
    public static BorrowedDescriptor Borrow(SafeFileHandle pidfd, int fd, out int errno)
    {
        using DescriptorHold hold = new(pidfd);
        long result = Syscall.Invoke(SyscallNumber.pidfd_getfd, hold.Number, fd, 0);
        errno = Syscall.IsError(result) ? (int)-result : 0;
        return new BorrowedDescriptor((int)result);
    }

    public static void SendSignal(SafeFileHandle pidfd, int signal) =>
        Syscall.Check(
            Syscall.Invoke(SyscallNumber.pidfd_send_signal, pidfd.DangerousGetHandle(), signal, 0, 0),
            () => $"pidfd_send_signal(signal {signal})");
}
