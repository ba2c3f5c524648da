using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Kernel;

/// <summary>Waiting for descriptors: poll(2), and an eventfd(2) that lets another thread end the wait.</summary>
internal static class Poll
{
    public const short POLLIN = 1, POLLERR = 8, POLLHUP = 16;

    private const long EFD_CLOEXEC = 0x80000;

    /// <summary>Waits until a descriptor is readable.</summary>
    /// <exception cref="OperationCanceledException">The token was cancelled first.</exception>
    /// <exception cref="Errors.KernelException">poll or eventfd2 failed.</exception>
    public static void WaitReadable(SafeFileHandle handle, CancellationToken cancellation) => WaitFor(handle, POLLIN, cancellation);

    /// <summary>Waits until the other end of a descriptor is gone, whatever there still is to read.</summary>
    /// <inheritdoc cref="WaitReadable"/>
    public static void WaitHangUp(SafeFileHandle handle, CancellationToken cancellation) => WaitFor(handle, 0, cancellation);

    private static void WaitFor(SafeFileHandle handle, short events, CancellationToken cancellation)
    {
        using var cancelled = new SafeFileHandle(
            (nint)Syscall.Check(Syscall.Invoke(SyscallNumber.eventfd2, 0, EFD_CLOEXEC), "eventfd2"),
            ownsHandle: true);
        // The registration's end waits for a callback that runs, so the descriptor is open for as long as it may be written to.
        using (cancellation.UnsafeRegister(static state => Signal((SafeFileHandle)state!), cancelled))
        {
            while (!Happened(handle, events, cancelled))
            {
                cancellation.ThrowIfCancellationRequested();
            }
        }
    }

    /// <summary>Waits for events on one descriptor; the result is what happened, 0 after the time is over.</summary>
    public static unsafe short Wait(SafeFileHandle handle, short events, int milliseconds)
    {
        pollfd entry = new() { fd = (int)handle.DangerousGetHandle(), events = events };
        long result = Syscall.Invoke(SyscallNumber.poll, (long)&entry, 1, milliseconds);
        if (result == -Errno.EINTR)
        {
            return 0;
        }

        Syscall.Check(result, "poll");
        return entry.revents;
    }

    private static unsafe bool Happened(SafeFileHandle handle, short events, SafeFileHandle cancelled)
    {
        Span<pollfd> entries =
        [
            new() { fd = (int)handle.DangerousGetHandle(), events = events },
            new() { fd = (int)cancelled.DangerousGetHandle(), events = POLLIN },
        ];
        fixed (pollfd* first = entries)
        {
            const int forever = -1;
            long result = Syscall.Invoke(SyscallNumber.poll, (long)first, entries.Length, forever);
            return result != -Errno.EINTR && Syscall.Check(result, "poll") > 0 && entries[0].revents != 0;
        }
    }

    private static unsafe void Signal(SafeFileHandle eventfd)
    {
        ulong one = 1;
        Syscall.Check(Syscall.Invoke(SyscallNumber.write, eventfd.DangerousGetHandle(), (long)&one, sizeof(ulong)), "write(eventfd)");
    }

    /// <summary>struct pollfd of poll(2).</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct pollfd
    {
        public int fd;
        public short events;
        public short revents;
    }
}
