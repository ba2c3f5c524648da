using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Kernel;

/// <summary>socket(2), bind(2), listen(2), connect(2), accept4(2), shutdown(2), and the addresses of unix(7). Paths mean what they mean to the calling thread.</summary>
internal static unsafe class SocketCall
{
    public const int SIOCUNIXFILE = 0x89e0;

    private const int FamilySize = sizeof(ushort), SunPathSize = 108;

    /// <summary>A new unix socket that is closed when another program begins, and does not wait.</summary>
    public static SafeFileHandle Unix(int type) => new(
        (nint)Syscall.Check(
            Syscall.Invoke(SyscallNumber.socket, UnixSocket.AF_UNIX, type | UnixSocket.SOCK_CLOEXEC | Fcntl.O_NONBLOCK), () => $"socket(AF_UNIX, type {type})"),
        ownsHandle: true);

    /// <summary>Gives a socket a name (sun_path); the result is the errno, 0 for success.</summary>
    public static int TryBind(SafeFileHandle socket, ReadOnlySpan<byte> name) => Addressed(SyscallNumber.bind, socket, name);

    /// <summary>Connects with the socket that has a name; the result is the errno, 0 for success.</summary>
    public static int TryConnect(SafeFileHandle socket, ReadOnlySpan<byte> name) => Addressed(SyscallNumber.connect, socket, name);

    /// <summary>Takes the peer of a datagram socket away; what was in its queue is lost.</summary>
    public static void Disconnect(SafeFileHandle socket)
    {
        ushort family = UnixSocket.AF_UNSPEC;
        Syscall.Check(Syscall.Invoke(SyscallNumber.connect, socket.DangerousGetHandle(), (long)&family, FamilySize), "connect(AF_UNSPEC)");
    }

    /// <summary>Lets a socket take connections.</summary>
    public static void Listen(SafeFileHandle socket, int backlog) =>
        Syscall.Check(Syscall.Invoke(SyscallNumber.listen, socket.DangerousGetHandle(), backlog), () => $"listen({backlog})");

    /// <summary>Shuts directions down: 1 for receiving, 2 for sending, 3 for both.</summary>
    public static void Shutdown(SafeFileHandle socket, int directions) =>
        Syscall.Check(Syscall.Invoke(SyscallNumber.shutdown, socket.DangerousGetHandle(), directions - 1), () => $"shutdown({directions - 1})");

    /// <summary>The name of the socket at the other end, which is told even when that is closed; null where there is none.</summary>
    public static byte[]? PeerName(SafeFileHandle socket)
    {
        byte* address = stackalloc byte[FamilySize + SunPathSize + 1];
        int length = FamilySize + SunPathSize + 1;
        long result = Syscall.Invoke(SyscallNumber.getpeername, socket.DangerousGetHandle(), (long)address, (long)&length);
        if (result == -Errno.ENOTCONN)
        {
            return null;
        }

        Syscall.Check(result, "getpeername");
        return new ReadOnlySpan<byte>(address + FamilySize, Math.Max(0, length - FamilySize)).ToArray();
    }

    /// <summary>The file that a socket is bound to, opened as a place (O_PATH); null where there is none.</summary>
    /// <param name="socket">The socket.</param>
    /// <param name="errno">Zero, or why there is none: EPERM without CAP_NET_ADMIN, ENOENT for one without a path.</param>
    public static SafeFileHandle? TryOpenFile(SafeFileHandle socket, out int errno)
    {
        long result = Syscall.Invoke(SyscallNumber.ioctl, socket.DangerousGetHandle(), SIOCUNIXFILE, 0);
        errno = Syscall.IsError(result) ? (int)-result : 0;
        return errno == 0 ? new SafeFileHandle((nint)result, ownsHandle: true) : null;
    }

    private static int Addressed(int call, SafeFileHandle socket, ReadOnlySpan<byte> name)
    {
        byte[] address = new byte[FamilySize + name.Length];
        MemoryMarshal.Write(address, (ushort)UnixSocket.AF_UNIX);
        name.CopyTo(address.AsSpan(FamilySize));
        fixed (byte* first = address)
        {
            long result = Syscall.Invoke(call, socket.DangerousGetHandle(), (long)first, address.Length);
            return Syscall.IsError(result) ? (int)-result : 0;
        }
    }
}
