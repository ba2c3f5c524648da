using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Kernel;

/// <summary>getsockopt(2), setsockopt(2) and socketpair(2): options of SOL_SOCKET (socket(7)).</summary>
internal static unsafe class SocketOption
{
    public const int SO_REUSEADDR = 2, SO_TYPE = 3, SO_DONTROUTE = 5, SO_BROADCAST = 6, SO_SNDBUF = 7, SO_RCVBUF = 8, SO_KEEPALIVE = 9, SO_OOBINLINE = 10;
    public const int SO_NO_CHECK = 11, SO_PRIORITY = 12, SO_LINGER = 13, SO_REUSEPORT = 15, SO_PASSCRED = 16, SO_RCVLOWAT = 18, SO_RCVTIMEO = 20, SO_SNDTIMEO = 21;
    public const int SO_ATTACH_FILTER = 26, SO_GET_FILTER = 26, SO_SNDBUFFORCE = 32, SO_RCVBUFFORCE = 33, SO_PASSSEC = 34, SO_MARK = 36, SO_PROTOCOL = 38;
    public const int SO_DOMAIN = 39, SO_PEEK_OFF = 42, SO_LOCK_FILTER = 44, SO_BUF_LOCK = 72, SO_PASSPIDFD = 76, SO_PASSRIGHTS = 83;

    /// <summary>struct timeval of 64-bit processors.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct timeval
    {
        public long tv_sec;
        public long tv_usec;
    }

    /// <summary>struct linger.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct linger
    {
        public int l_onoff;
        public int l_linger;
    }

    /// <summary>struct sock_fprog.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct sock_fprog
    {
        public ushort len;
        public ulong filter;
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

    /// <summary>Whether an option could be set; the kernel may not know it, or not permit it.</summary>
    public static bool TrySet<T>(SafeFileHandle socket, int option, T value, out int errno)
        where T : unmanaged
    {
        long result = Syscall.Invoke(SyscallNumber.setsockopt, socket.DangerousGetHandle(), UnixSocket.SOL_SOCKET, option, (long)&value, sizeof(T));
        errno = Syscall.IsError(result) ? (int)-result : 0;
        return errno == 0;
    }

    /// <summary>The number that an option has; null where the kernel does not know the option.</summary>
    public static int? TryGet(SafeFileHandle socket, int option)
    {
        int value = 0, size = sizeof(int);
        long result = Syscall.Invoke(
            SyscallNumber.getsockopt, socket.DangerousGetHandle(), UnixSocket.SOL_SOCKET, option, (long)&value, (long)&size);
        return result is -Errno.ENOPROTOOPT or -Errno.EOPNOTSUPP ? null : Syscall.Check(result, () => $"getsockopt(option {option})") == 0 ? value : null;
    }

    /// <summary>The family of a socket (AF_*).</summary>
    public static int Domain(in BorrowedDescriptor socket)
    {
        int value = 0, size = sizeof(int);
        Syscall.Check(
            Syscall.Invoke(SyscallNumber.getsockopt, socket.Number, UnixSocket.SOL_SOCKET, SO_DOMAIN, (long)&value, (long)&size), "getsockopt(SO_DOMAIN)");
        return value;
    }

    /// <summary>The classic filter on a socket, as instructions of eight bytes (struct sock_filter); empty for none.</summary>
    /// <exception cref="Errors.KernelException">EACCES: the filter is none of the classic kind.</exception>
    public static ulong[] GetFilter(SafeFileHandle socket)
    {
        int count = 0;
        Filter(socket, null, &count);
        ulong[] instructions = new ulong[count];
        fixed (ulong* first = instructions)
        {
            if (count > 0)
            {
                Filter(socket, first, &count);
            }
        }

        return instructions;
    }

    // net/core/filter.c, sk_get_filter: lengths are in instructions, and no buffer asks for the number alone.
    private static void Filter(SafeFileHandle socket, ulong* instructions, int* count) => Syscall.Check(
        Syscall.Invoke(SyscallNumber.getsockopt, socket.DangerousGetHandle(), UnixSocket.SOL_SOCKET, SO_GET_FILTER, (long)instructions, (long)count),
        "getsockopt(SO_GET_FILTER)");

    /// <summary>Puts a classic filter on a socket.</summary>
    public static void AttachFilter(SafeFileHandle socket, ReadOnlySpan<ulong> instructions)
    {
        fixed (ulong* first = instructions)
        {
            Set(socket, SO_ATTACH_FILTER, new sock_fprog { len = (ushort)instructions.Length, filter = (ulong)first });
        }
    }

    /// <summary>Two unix sockets that are connected with each other.</summary>
    public static (SafeFileHandle First, SafeFileHandle Second) Pair(int type)
    {
        int* ends = stackalloc int[2];
        Syscall.Check(
            Syscall.Invoke(SyscallNumber.socketpair, UnixSocket.AF_UNIX, type | UnixSocket.SOCK_CLOEXEC, 0, (long)ends), () => $"socketpair(type {type})");
        return (new SafeFileHandle(ends[0], ownsHandle: true), new SafeFileHandle(ends[1], ownsHandle: true));
    }
}
