using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Kernel;

/// <summary>getsockopt(2), setsockopt(2) and socketpair(2): options of SOL_SOCKET (socket(7)).</summary>
internal static unsafe class SocketOption
{
    public const int SO_REUSEADDR = 2, SO_TYPE = 3, SO_SNDBUF = 7, SO_RCVBUF = 8, SO_PASSCRED = 16, SO_RCVTIMEO = 20, SO_SNDTIMEO = 21;

    /// <summary>struct timeval of 64-bit processors.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct timeval
    {
        public long tv_sec;
        public long tv_usec;
    }

    /// <summary>The value of an option: a number, a time, a structure.</summary>
    public static T Get<T>(SafeFileHandle socket, int option)
        where T : unmanaged
    {
        T value = default;
        int size = sizeof(T);
        Syscall.Check(
            Syscall.Invoke(SyscallNumber.getsockopt, socket.DangerousGetHandle(), UnixSocket.SOL_SOCKET, option, (long)&value, (long)&size),
            () => $"getsockopt(option {option})");
        return value;
    }

    /// <summary>Sets an option.</summary>
    public static void Set<T>(SafeFileHandle socket, int option, T value)
        where T : unmanaged =>
        Syscall.Check(
            Syscall.Invoke(SyscallNumber.setsockopt, socket.DangerousGetHandle(), UnixSocket.SOL_SOCKET, option, (long)&value, sizeof(T)),
            () => $"setsockopt(option {option})");

    /// <summary>Two unix sockets that are connected with each other.</summary>
    public static (SafeFileHandle First, SafeFileHandle Second) Pair(int type)
    {
        int* ends = stackalloc int[2];
        Syscall.Check(
            Syscall.Invoke(SyscallNumber.socketpair, UnixSocket.AF_UNIX, type | UnixSocket.SOCK_CLOEXEC, 0, (long)ends), () => $"socketpair(type {type})");
        return (new SafeFileHandle(ends[0], ownsHandle: true), new SafeFileHandle(ends[1], ownsHandle: true));
    }
}
