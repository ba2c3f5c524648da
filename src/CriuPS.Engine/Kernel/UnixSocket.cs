using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Kernel;

/// <summary>Local sockets as channels to a task: sending descriptors (SCM_RIGHTS, unix(7)) and receiving short messages.</summary>
internal static unsafe class UnixSocket
{
    public const int AF_UNSPEC = 0, AF_UNIX = 1, SOCK_STREAM = 1, SOCK_DGRAM = 2, SOCK_SEQPACKET = 5, SOCK_CLOEXEC = 0x80000, SOL_SOCKET = 1, SCM_RIGHTS = 1, SCM_CREDENTIALS = 2;
    public const int MSG_NOSIGNAL = 0x4000, MSG_CMSG_CLOEXEC = 0x40000000, MSG_DONTWAIT = 0x40, MSG_OOB = 1;

    /// <summary>How many descriptors one message can carry (include/net/scm.h).</summary>
    public const int SCM_MAX_FD = 253;

    /// <summary>struct msghdr of the kernel (include/linux/socket.h, user_msghdr).</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct msghdr
    {
        public ulong msg_name;
        public int msg_namelen;
        public ulong msg_iov;
        public ulong msg_iovlen;
        public ulong msg_control;
        public ulong msg_controllen;
        public uint msg_flags;
    }

    /// <summary>Size of a control message header (struct cmsghdr).</summary>
    public const int ControlHeaderSize = 16;

    /// <summary>Bytes that a control message with this many descriptors takes.</summary>
    public static int ControlSize(int descriptors) => ControlHeaderSize + ((descriptors * sizeof(int) + 7) & ~7);

    /// <summary>Sends descriptors with one byte of data; at most <see cref="SCM_MAX_FD"/>.</summary>
    public static void SendDescriptors(SafeFileHandle socket, ReadOnlySpan<int> descriptors) =>
        Syscall.Check(Send(socket, descriptors, 0), "sendmsg(SCM_RIGHTS)");

    /// <summary>Does so unless it would have to wait (EAGAIN), or too many descriptors of the user are under way (ETOOMANYREFS).</summary>
    public static bool TrySendDescriptors(SafeFileHandle socket, ReadOnlySpan<int> descriptors)
    {
        long result = Send(socket, descriptors, MSG_DONTWAIT);
        return result is not (-Errno.EAGAIN or -Errno.ETOOMANYREFS) && Syscall.Check(result, "sendmsg(SCM_RIGHTS)") > 0;
    }

    private static long Send(SafeFileHandle socket, ReadOnlySpan<int> descriptors, int flags)
    {
        Span<byte> control = stackalloc byte[ControlSize(descriptors.Length)];
        control.Clear();
        MemoryMarshal.Write(control, (ulong)(ControlHeaderSize + descriptors.Length * sizeof(int)));
        MemoryMarshal.Write(control[8..], SOL_SOCKET);
        MemoryMarshal.Write(control[12..], SCM_RIGHTS);
        MemoryMarshal.AsBytes(descriptors).CopyTo(control[ControlHeaderSize..]);
        byte data = 0;
        fixed (byte* pointer = control)
        {
            iovec vector = new() { iov_base = (ulong)&data, iov_len = 1 };
            msghdr message = new()
            {
                msg_iov = (ulong)&vector, msg_iovlen = 1, msg_control = (ulong)pointer, msg_controllen = (ulong)control.Length,
            };
            return Syscall.Invoke(SyscallNumber.sendmsg, socket.DangerousGetHandle(), (long)&message, MSG_NOSIGNAL | flags);
        }
    }

    /// <summary>Receives one message; 0 at the end of the stream.</summary>
    public static int Receive(SafeFileHandle socket, Span<byte> buffer)
    {
        fixed (byte* pointer = buffer)
        {
            while (true)
            {
                long result = Syscall.Invoke(SyscallNumber.recvfrom, socket.DangerousGetHandle(), (long)pointer, buffer.Length, 0, 0, 0);
                if (result != -Errno.EINTR)
                {
                    return (int)Syscall.Check(result, "recv");
                }
            }
        }
    }
}
