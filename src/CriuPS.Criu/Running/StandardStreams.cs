using CriuPS.Engine.Kernel;

namespace CriuPS.Criu.Running;

/// <summary>Descriptors 0, 1 and 2.</summary>
internal static class StandardStreams
{
    /// <summary>How many there are.</summary>
    public const int Count = 3;

    /// <summary>
    /// Opens those that are closed: libraries of clients close them before they start this program, and the next file that is opened, an image
    /// perhaps, would then be where messages go.
    /// </summary>
    public static void Fill()
    {
        for (int stream = 0; stream < Count; stream++)
        {
            if (Syscall.Invoke(SyscallNumber.fcntl, stream, Fcntl.F_GETFD) == -Errno.EBADF)
            {
                // The lowest free number is this one.
                OpenAt.Open("/dev/null", OpenAt.O_RDWR).SetHandleAsInvalid();
            }
        }
    }
}
