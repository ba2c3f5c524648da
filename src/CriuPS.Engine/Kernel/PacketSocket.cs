using System.Runtime.InteropServices;
using System.Text;
using CriuPS.Engine.Errors;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Kernel;

/// <summary>Local sockets that keep the boundaries of messages (SOCK_SEQPACKET, unix(7)): a service and its clients.</summary>
internal static unsafe class PacketSocket
{
    public const int SO_PEERCRED = 17, MSG_PEEK = 2, MSG_TRUNC = 0x20;

    private const int SunPathSize = 108;

    /// <summary>Who is at the other end, as the kernel noted it when the connection was made (struct ucred).</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct ucred
    {
        public int pid;
        public uint uid;
        public uint gid;
    }

    /// <summary>Binds a socket to a path and listens.</summary>
    /// <param name="path">Its path; nothing may be there.</param>
    /// <param name="backlog">How many connections may wait.</param>
    public static SafeFileHandle Listen(string path, int backlog)
    {
        byte[] name = Encoding.UTF8.GetBytes(path);
        if (name.Length >= SunPathSize)
        {
            throw new CriuException("SocketPathTooLong", CriuErrorKind.BadOption, $"{path} is too long for the address of a socket ({SunPathSize - 1} bytes)");
        }

        SafeFileHandle socket = new((nint)Syscall.Check(
            Syscall.Invoke(SyscallNumber.socket, UnixSocket.AF_UNIX, UnixSocket.SOCK_SEQPACKET | UnixSocket.SOCK_CLOEXEC), "socket(AF_UNIX, SOCK_SEQPACKET)"), true);
        int errno = SocketCall.TryBind(socket, [.. name, 0]);
        if (errno != 0)
        {
            throw new KernelException($"bind({path})", errno);
        }

        Syscall.Check(Syscall.Invoke(SyscallNumber.listen, socket.DangerousGetHandle(), backlog), () => $"listen({path})");
        return socket;
    }

    /// <summary>Takes the next connection; null where it is gone again or a signal came first.</summary>
    public static SafeFileHandle? TryAccept(SafeFileHandle listener)
    {
        long result = Syscall.Invoke(SyscallNumber.accept4, listener.DangerousGetHandle(), 0, 0, UnixSocket.SOCK_CLOEXEC);
        return result is -Errno.EINTR or -Errno.ECONNABORTED ? null : new SafeFileHandle((nint)Syscall.Check(result, "accept4"), true);
    }

    /// <summary>Who made the connection.</summary>
    public static ucred Peer(SafeFileHandle socket) => SocketOption.Get<ucred>(socket, SO_PEERCRED);

    /// <summary>Receives a message; the result is its length, which is more than the buffer's where its end was cut off, and 0 when the peer is gone.</summary>
    public static int Receive(SafeFileHandle socket, Span<byte> buffer)
    {
        fixed (byte* pointer = buffer)
        {
            long result;
            do
            {
                result = Syscall.Invoke(SyscallNumber.recvfrom, socket.DangerousGetHandle(), (long)pointer, buffer.Length, MSG_TRUNC, 0, 0);
            }
            while (result == -Errno.EINTR);
            return result == -Errno.ECONNRESET ? 0 : (int)Syscall.Check(result, "recv");
        }
    }

    /// <summary>Sends a message; false when the peer is gone.</summary>
    public static bool TrySend(SafeFileHandle socket, ReadOnlySpan<byte> message)
    {
        fixed (byte* pointer = message)
        {
            long result;
            do
            {
                result = Syscall.Invoke(SyscallNumber.sendto, socket.DangerousGetHandle(), (long)pointer, message.Length, UnixSocket.MSG_NOSIGNAL, 0, 0);
            }
            while (result == -Errno.EINTR);
            return result is not (-Errno.EPIPE or -Errno.ECONNRESET) && Syscall.Check(result, "send") == message.Length;
        }
    }
}
