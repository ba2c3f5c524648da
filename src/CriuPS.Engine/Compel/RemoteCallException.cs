using CriuPS.Engine.Errors;

namespace CriuPS.Engine.Compel;

/// <summary>A system call failed that was run inside another process.</summary>
public sealed class RemoteCallException : CriuException
{
    /// <param name="pid">The process that ran it.</param>
    /// <param name="subject">The call and what it was about, e.g. <c>mmap of 0x7f00-0x7f10 (/usr/lib/libc.so.6)</c>.</param>
    /// <param name="errno">The kernel's error number, positive.</param>
    public RemoteCallException(int pid, string subject, int errno)
        : base("RemoteCallFailed", CriuErrorKind.KernelFailure, $"process {pid}: {subject} failed: {Kernel.Errno.Describe(errno)}")
    {
        Pid = pid;
        Subject = subject;
        Errno = errno;
    }
}
