using System.Text;
using CriuPS.Engine.Kernel;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Criu.Running;

/// <summary>Descriptors 0, 1 and 2.</summary>
internal static class StandardStreams
{
    /// <summary>How many there are.</summary>
    public const int Count = 3;

    /// <summary>Their numbers.</summary>
    public const int Input = 0, Output = 1, Error = 2;

    /// <summary>Says a line on the standard error, if anybody listens there.</summary>
    public static void Complain(string line)
    {
        using SafeFileHandle error = new(Error, ownsHandle: false);
        FileAt.TryWriteAll(error, Encoding.UTF8.GetBytes($"{line}\n"));
    }

    /// <summary>
    /// Opens those that are closed: libraries of clients close them before they start this program, and the next file that is opened, an image
    /// perhaps, would then be where messages go.
    /// </summary>
    public static void Fill()
    {
        bool taken = false;
        for (int stream = 0; stream < Count; stream++)
        {
            long flags = Syscall.Invoke(SyscallNumber.fcntl, stream, Fcntl.F_GETFD);
            taken |= (flags & Fcntl.FD_CLOEXEC) != 0 && flags >= 0;
            if (flags == -Errno.EBADF)
            {
                // The lowest free number is this one.
                using SafeFileHandle nothing = OpenAt.Open("/dev/null", OpenAt.O_RDWR);
                Fcntl.Control(nothing, Fcntl.F_SETFD, 0);
                nothing.SetHandleAsInvalid();
            }
        }

        if (taken)
        {
            StartAgain();
        }
    }

    /// <summary>Starts something with nothing to read, whose output and errors go elsewhere; then ours are as before.</summary>
    /// <param name="output">The descriptor where they go.</param>
    /// <param name="start">Starts it.</param>
    public static T Lend<T>(int output, Func<T> start)
    {
        using SafeFileHandle nothing = OpenAt.Open("/dev/null", OpenAt.O_RDWR), other = Duplicate(output);
        SafeFileHandle[] own = [.. Enumerable.Range(0, Count).Select(Duplicate)];
        try
        {
            Replace(Input, nothing);
            Replace(Output, other);
            Replace(Error, other);
            return start();
        }
        finally
        {
            for (int stream = 0; stream < Count; stream++)
            {
                Replace(stream, own[stream]);
                own[stream].Dispose();
            }
        }
    }

    /// <summary>Makes a stream lead to where another descriptor leads.</summary>
    public static void Replace(int stream, SafeFileHandle file) =>
        Syscall.Check(Syscall.Invoke(SyscallNumber.dup3, file.DangerousGetHandle(), stream, 0), "dup3 to a standard stream");

    // Nobody starts a program with a stream that is closed on exec: the runtime has taken the free number for a file of its own, which nobody may take
    // from it (it reads /dev/urandom until it has enough). Started again, it finds all three numbers in use.
    private static void StartAgain()
    {
        using SafeFileHandle nothing = OpenAt.Open("/dev/null", OpenAt.O_RDWR);
        int from = (int)nothing.DangerousGetHandle();
        (int, int)[] replaced =
        [
            .. Enumerable.Range(0, Count).Where(stream => Syscall.Invoke(SyscallNumber.fcntl, stream, Fcntl.F_GETFD) == Fcntl.FD_CLOEXEC)
                .Select(stream => (from, stream)),
        ];
        throw Execute.Become([Environment.ProcessPath!, .. Environment.GetCommandLineArgs().Skip(1)], replaced);
    }

    private static SafeFileHandle Duplicate(int descriptor) => new((int)Syscall.Check(
        Syscall.Invoke(SyscallNumber.fcntl, descriptor, Fcntl.F_DUPFD_CLOEXEC, Count), $"dup of descriptor {descriptor}"), ownsHandle: true);
}
