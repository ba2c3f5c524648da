using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Kernel;

/// <summary>A message in the queue of a socket with all that belongs to it (recvmsg(2), sendmsg(2), unix(7)).</summary>
/// <param name="Data">Its bytes.</param>
/// <param name="Sender">The name of who sent it, as in sun_path; empty for none.</param>
/// <param name="Files">The open files that travel with it.</param>
/// <param name="Credentials">Who sent it; null where the kernel did not note it.</param>
internal sealed unsafe record SocketMessage(byte[] Data, byte[] Sender, IReadOnlyList<SafeFileHandle> Files, PacketSocket.ucred? Credentials)
{
    private const int ControlSize = 16384, NameSize = 128, FamilySize = sizeof(ushort), CredentialsSize = 12;

    // Since Linux 6.5; the socket of the process is told who sent a message by a pidfd, which is nothing to keep.
    private const int ScmPidfd = 4;

    /// <summary>How many bytes a message has that did not fit; 0 where all did.</summary>
    public int Missing { get; private init; }

    /// <summary>
    /// Looks at the next message from the socket's offset for that (SO_PEEK_OFF) on, without waiting; null where there is none. Options of the socket decide what
    /// comes with it: SO_PASSCRED, SO_PASSRIGHTS.
    /// </summary>
    /// <param name="socket">The socket.</param>
    /// <param name="size">The most bytes to look at.</param>
    /// <param name="stream">Whether it has a stream of bytes, where the flag that tells the length of packets means something else.</param>
    /// <param name="errno">Zero, or why there is none.</param>
    public static SocketMessage? TryPeek(SafeFileHandle socket, int size, bool stream, out int errno)
    {
        byte[] data = new byte[size], control = new byte[ControlSize], name = new byte[NameSize];
        fixed (byte* bytes = data, ancillary = control, address = name)
        {
            iovec vector = new() { iov_base = (ulong)bytes, iov_len = (ulong)size };
            UnixSocket.msghdr message = new()
            {
                msg_name = (ulong)address, msg_namelen = NameSize, msg_iov = (ulong)&vector, msg_iovlen = 1, msg_control = (ulong)ancillary,
                msg_controllen = ControlSize,
            };
            long result = Syscall.Invoke(
                SyscallNumber.recvmsg, socket.DangerousGetHandle(), (long)&message,
                PacketSocket.MSG_PEEK | (stream ? 0 : PacketSocket.MSG_TRUNC) | UnixSocket.MSG_DONTWAIT | UnixSocket.MSG_CMSG_CLOEXEC);
            errno = Syscall.IsError(result) ? (int)-result : 0;
            if (errno != 0)
            {
                return null;
            }

            (List<SafeFileHandle> files, PacketSocket.ucred? credentials) = Read(control.AsSpan(0, (int)message.msg_controllen));
            int length = (int)Math.Min(result, size);
            return new SocketMessage(data[..length], name[FamilySize..Math.Max(FamilySize, message.msg_namelen)], files, credentials)
            {
                Missing = (int)Math.Max(0, result - size),
            };
        }
    }

    /// <summary>Sends a message without waiting; the result is the errno, 0 for success.</summary>
    /// <param name="socket">Who sends.</param>
    /// <param name="data">The bytes.</param>
    /// <param name="receiver">The name of who receives it; empty for who the socket is connected with.</param>
    /// <param name="files">Descriptors that travel with it.</param>
    /// <param name="credentials">Who is to be noted as its sender; null for nobody in particular.</param>
    /// <param name="flags">MSG_*.</param>
    /// <param name="sent">How many bytes were sent.</param>
    public static int TrySend(
        SafeFileHandle socket, ReadOnlySpan<byte> data, ReadOnlySpan<byte> receiver, ReadOnlySpan<int> files, PacketSocket.ucred? credentials, int flags, out int sent)
    {
        byte[] control = Control(files, credentials);
        byte[] name = new byte[FamilySize + receiver.Length];
        MemoryMarshal.Write(name, (ushort)UnixSocket.AF_UNIX);
        receiver.CopyTo(name.AsSpan(FamilySize));
        fixed (byte* bytes = data, ancillary = control, address = name)
        {
            iovec vector = new() { iov_base = (ulong)bytes, iov_len = (ulong)data.Length };
            UnixSocket.msghdr message = new()
            {
                msg_name = receiver.IsEmpty ? 0 : (ulong)address, msg_namelen = receiver.IsEmpty ? 0 : name.Length, msg_iov = (ulong)&vector, msg_iovlen = 1,
                msg_control = control.Length == 0 ? 0 : (ulong)ancillary, msg_controllen = (ulong)control.Length,
            };
            long result = Syscall.Invoke(
                SyscallNumber.sendmsg, socket.DangerousGetHandle(), (long)&message, flags | UnixSocket.MSG_NOSIGNAL | UnixSocket.MSG_DONTWAIT);
            sent = Syscall.IsError(result) ? 0 : (int)result;
            return Syscall.IsError(result) ? (int)-result : 0;
        }
    }

    /// <summary>Whether a byte out of band waits in a stream (MSG_OOB), where SO_OOBINLINE is off.</summary>
    public static bool HasUrgentByte(SafeFileHandle socket)
    {
        byte data;
        return Syscall.Invoke(
            SyscallNumber.recvfrom, socket.DangerousGetHandle(), (long)&data, 1, UnixSocket.MSG_OOB | PacketSocket.MSG_PEEK | UnixSocket.MSG_DONTWAIT, 0, 0) == 1;
    }

    private static (List<SafeFileHandle> Files, PacketSocket.ucred? Credentials) Read(ReadOnlySpan<byte> control)
    {
        List<SafeFileHandle> files = [];
        PacketSocket.ucred? credentials = null;
        while (control.Length >= UnixSocket.ControlHeaderSize)
        {
            int length = (int)MemoryMarshal.Read<ulong>(control), level = MemoryMarshal.Read<int>(control[8..]), type = MemoryMarshal.Read<int>(control[12..]);
            ReadOnlySpan<byte> content = control[UnixSocket.ControlHeaderSize..Math.Min(length, control.Length)];
            if (level == UnixSocket.SOL_SOCKET && type is UnixSocket.SCM_RIGHTS or ScmPidfd)
            {
                foreach (int fd in MemoryMarshal.Cast<byte, int>(content))
                {
                    SafeFileHandle file = new(fd, ownsHandle: true);
                    if (type == UnixSocket.SCM_RIGHTS)
                    {
                        files.Add(file);
                    }
                    else
                    {
                        file.Dispose();
                    }
                }
            }
            else if (level == UnixSocket.SOL_SOCKET && type == UnixSocket.SCM_CREDENTIALS)
            {
                credentials = MemoryMarshal.Read<PacketSocket.ucred>(content);
            }

            control = control[Math.Min(control.Length, (length + 7) & ~7)..];
        }

        return (files, credentials);
    }

    private static byte[] Control(ReadOnlySpan<int> files, PacketSocket.ucred? credentials)
    {
        byte[] control = new byte[(files.IsEmpty ? 0 : UnixSocket.ControlSize(files.Length)) + (credentials is null ? 0 : UnixSocket.ControlHeaderSize + 16)];
        Span<byte> rest = control;
        if (!files.IsEmpty)
        {
            Begin(rest, files.Length * sizeof(int), UnixSocket.SCM_RIGHTS);
            MemoryMarshal.AsBytes(files).CopyTo(rest[UnixSocket.ControlHeaderSize..]);
            rest = rest[UnixSocket.ControlSize(files.Length)..];
        }

        if (credentials is { } sender)
        {
            Begin(rest, CredentialsSize, UnixSocket.SCM_CREDENTIALS);
            MemoryMarshal.Write(rest[UnixSocket.ControlHeaderSize..], sender);
        }

        return control;
    }

    private static void Begin(Span<byte> control, int size, int type)
    {
        MemoryMarshal.Write(control, (ulong)(UnixSocket.ControlHeaderSize + size));
        MemoryMarshal.Write(control[8..], UnixSocket.SOL_SOCKET);
        MemoryMarshal.Write(control[12..], type);
    }
}
