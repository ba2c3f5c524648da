using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects.Files;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Sockets;

/// <summary>
/// What waits in a unix socket to be received (sk_receive_queue). MSG_PEEK copies it without taking it out, from one message to the next by an offset that the
/// kernel counts (SO_PEEK_OFF, since Linux 3.4); open files that travel in it are received as copies and stay there too. It is sent again to the new socket.
/// </summary>
/// <param name="Socket">A descriptor of the socket.</param>
/// <param name="Messages">What waits, in its order.</param>
/// <param name="IsReset">Whether ECONNRESET is waiting, because the other end was closed before it had read all.</param>
/// <param name="Objection">Why it cannot be kept; null where it can.</param>
internal sealed record SocketQueue(OpenFile Socket, IReadOnlyList<SocketMessage> Messages, bool IsReset, string? Objection)
{
    private const int PacketSize = 1 << 16;

    /// <summary>Reads the queue of a socket of a process that stands still; it is as before afterwards.</summary>
    /// <param name="file">A descriptor of the socket.</param>
    /// <param name="socket">The very socket.</param>
    /// <param name="diag">What the kernel tells of it.</param>
    /// <param name="mayLoseReset">Whether an error that waits may be taken out.</param>
    public static SocketQueue Read(OpenFile file, SafeFileHandle socket, UnixDiag.Socket diag, bool mayLoseReset)
    {
        if (HasForeignFilter(socket))
        {
            return new SocketQueue(file, [], false, "it has a filter that is no classic BPF program");
        }

        // From packets with connections nothing can be received without one (net/unix/af_unix.c, unix_seqpacket_recvmsg).
        if (diag.State == UnixSocketFile.Listening || (diag.Type == UnixSocket.SOCK_SEQPACKET && diag.State != UnixSocketFile.Connected))
        {
            return new SocketQueue(file, [], false, null);
        }

        bool reset = (Poll.Wait(socket, 0, 0) & Poll.POLLERR) != 0, stream = diag.Type == UnixSocket.SOCK_STREAM;
        int waiting = Fcntl.Readable(socket);
        if (waiting == 0 && (stream || reset))
        {
            return new SocketQueue(file, [], reset, null);
        }

        if (reset && !stream && !mayLoseReset)
        {
            return new SocketQueue(file, [], reset, "an error waits in it together with data, which can be kept only when the process ends with its dump");
        }

        return stream && HasUrgentByte(socket)
            ? new SocketQueue(file, [], reset, "a byte out of band waits in it (MSG_OOB)")
            : new SocketQueue(file, Peek(socket, waiting, stream, reset), reset, null);
    }

    private static List<SocketMessage> Peek(SafeFileHandle socket, int waiting, bool stream, bool reset)
    {
        int offset = SocketOption.Get<int>(socket, SocketOption.SO_PEEK_OFF), credentials = SocketOption.Get<int>(socket, SocketOption.SO_PASSCRED);
        int? files = SocketOption.TryGet(socket, SocketOption.SO_PASSRIGHTS);
        try
        {
            // With credentials the end of a connection, which has none, differs from a message without bytes; and a stream is told in pieces of one sender each.
            SocketOption.Set(socket, SocketOption.SO_PASSCRED, 1);
            if (files == 0)
            {
                SocketOption.Set(socket, SocketOption.SO_PASSRIGHTS, 1);
            }

            SocketOption.Set(socket, SocketOption.SO_PEEK_OFF, 0);
            return stream ? PeekStream(socket, waiting) : PeekPackets(socket, reset);
        }
        finally
        {
            SocketOption.Set(socket, SocketOption.SO_PEEK_OFF, offset);
            SocketOption.Set(socket, SocketOption.SO_PASSCRED, credentials);
            if (files == 0)
            {
                SocketOption.Set(socket, SocketOption.SO_PASSRIGHTS, 0);
            }
        }
    }

    // Behind the last byte an error would be met, and be gone (net/unix/af_unix.c, unix_stream_read_generic).
    private static List<SocketMessage> PeekStream(SafeFileHandle socket, int waiting)
    {
        List<SocketMessage> messages = [];
        for (int left = waiting; left > 0; left -= messages[^1].Data.Length)
        {
            SocketMessage? next = SocketMessage.TryPeek(socket, left, stream: true, out int errno);
            messages.Add(next is { Data.Length: > 0 } ? next : throw new KernelException("recvmsg(MSG_PEEK) of a stream", errno));
        }

        return messages;
    }

    private static List<SocketMessage> PeekPackets(SafeFileHandle socket, bool reset)
    {
        List<SocketMessage> messages = [];
        for (int offset = 0; ;)
        {
            SocketMessage? next = SocketMessage.TryPeek(socket, PacketSize, stream: false, out int errno);
            if (errno == Errno.ECONNRESET && reset)
            {
                reset = false;
                continue;
            }

            if (errno == Errno.EAGAIN || next is { Data.Length: 0, Credentials: null })
            {
                return messages;
            }

            if (next is { Missing: > 0 })
            {
                SocketOption.Set(socket, SocketOption.SO_PEEK_OFF, offset);
                next.Files.ToList().ForEach(file => file.Dispose());
                next = SocketMessage.TryPeek(socket, PacketSize + next.Missing, stream: false, out errno);
            }

            messages.Add(next ?? throw new KernelException("recvmsg(MSG_PEEK) of a packet", errno));
            offset += next.Data.Length;
        }
    }

    private static bool HasUrgentByte(SafeFileHandle socket)
    {
        int inline = SocketOption.Get<int>(socket, SocketOption.SO_OOBINLINE);
        try
        {
            SocketOption.Set(socket, SocketOption.SO_OOBINLINE, 0);
            return SocketMessage.HasUrgentByte(socket);
        }
        finally
        {
            SocketOption.Set(socket, SocketOption.SO_OOBINLINE, inline);
        }
    }

    private static bool HasForeignFilter(SafeFileHandle socket)
    {
        try
        {
            SocketOption.GetFilter(socket);
            return false;
        }
        catch (KernelException e) when (e.Errno == Errno.EACCES)
        {
            return true;
        }
    }
}
