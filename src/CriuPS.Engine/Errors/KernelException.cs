using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Errors;

/// <summary>A system call failed that the engine needs.</summary>
public sealed class KernelException : CriuException
{
    /// <param name="call">The call and the arguments that matter, e.g. <c>ptrace(PTRACE_SEIZE, 812)</c>.</param>
    /// <param name="errno">The kernel's error number, positive.</param>
    public KernelException(string call, int errno)
        : base("KernelFailure", KindOf(errno), $"{call} failed: {Kernel.Errno.Describe(errno)}")
    {
        Call = call;
        Errno = errno;
    }

    /// <summary>The call and the arguments that matter.</summary>
    public string Call { get; }

    private static CriuErrorKind KindOf(int errno) => errno switch
    {
        Kernel.Errno.EPERM or Kernel.Errno.EACCES => CriuErrorKind.PermissionDenied,
        Kernel.Errno.ENOENT or Kernel.Errno.ESRCH => CriuErrorKind.NotFound,
        Kernel.Errno.EEXIST => CriuErrorKind.AlreadyExists,
        Kernel.Errno.EBUSY => CriuErrorKind.Busy,
        Kernel.Errno.ETIMEDOUT => CriuErrorKind.Timeout,
        _ => CriuErrorKind.KernelFailure,
    };
}
