using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Sockets;

/// <summary>
/// Options that sockets of all families have (socket(7), struct sock). getsockopt(2) tells them of the very open file, setsockopt(2) sets them again; sizes of
/// buffers are told doubled. A filter is told as it was given where it is one of classic BPF (SO_GET_FILTER, since Linux 4.4).
/// </summary>
internal static class SocketOptions
{
    // SOCK_SNDBUF_LOCK, SOCK_RCVBUF_LOCK: who has set a size himself. The option that tells them is as old as Linux 5.14.
    private const int SendBufferLocked = 1, ReceiveBufferLocked = 2;

    private static readonly (int Option, Func<SkOptsEntry, bool> Get, Action<SkOptsEntry, bool> Set)[] s_switches =
    [
        (SocketOption.SO_REUSEADDR, o => o.Reuseaddr, (o, on) => o.Reuseaddr = on),
        (SocketOption.SO_REUSEPORT, o => o.SoReuseport, (o, on) => o.SoReuseport = on),
        (SocketOption.SO_PASSCRED, o => o.SoPasscred, (o, on) => o.SoPasscred = on),
        (SocketOption.SO_PASSSEC, o => o.SoPasssec, (o, on) => o.SoPasssec = on),
        (SocketOption.SO_DONTROUTE, o => o.SoDontroute, (o, on) => o.SoDontroute = on),
        (SocketOption.SO_NO_CHECK, o => o.SoNoCheck, (o, on) => o.SoNoCheck = on),
        (SocketOption.SO_BROADCAST, o => o.SoBroadcast, (o, on) => o.SoBroadcast = on),
        (SocketOption.SO_KEEPALIVE, o => o.SoKeepalive, (o, on) => o.SoKeepalive = on),
        (SocketOption.SO_OOBINLINE, o => o.SoOobinline != 0, (o, on) => o.SoOobinline = on ? 1u : 0),
    ];

    /// <summary>Reads those options of a socket that every image has.</summary>
    public static SkOptsEntry SaveRequired(SafeFileHandle socket)
    {
        var send = SocketOption.Get<SocketOption.timeval>(socket, SocketOption.SO_SNDTIMEO);
        var receive = SocketOption.Get<SocketOption.timeval>(socket, SocketOption.SO_RCVTIMEO);
        return new SkOptsEntry
        {
            SoSndbuf = SocketOption.Get<uint>(socket, SocketOption.SO_SNDBUF), SoRcvbuf = SocketOption.Get<uint>(socket, SocketOption.SO_RCVBUF),
            SoSndTmoSec = (ulong)send.tv_sec, SoSndTmoUsec = (ulong)send.tv_usec, SoRcvTmoSec = (ulong)receive.tv_sec, SoRcvTmoUsec = (ulong)receive.tv_usec,
        };
    }

    /// <summary>Reads the options of a socket.</summary>
    public static SkOptsEntry Save(SafeFileHandle socket)
    {
        SkOptsEntry saved = SaveRequired(socket);
        saved.SoPriority = SocketOption.Get<uint>(socket, SocketOption.SO_PRIORITY);
        saved.SoRcvlowat = SocketOption.Get<uint>(socket, SocketOption.SO_RCVLOWAT);
        foreach (var (option, _, set) in s_switches)
        {
            // Not every family has every one of them.
            if (SocketOption.TryGet(socket, option) is { } value)
            {
                set(saved, value != 0);
            }
        }

        if (SocketOption.TryGet(socket, SocketOption.SO_BUF_LOCK) is { } locks)
        {
            saved.SoBufLock = (uint)locks;
        }

        if (SocketOption.Get<uint>(socket, SocketOption.SO_MARK) is not 0 and uint mark)
        {
            saved.SoMark = mark;
        }

        if (SocketOption.Get<SocketOption.linger>(socket, SocketOption.SO_LINGER) is { l_onoff: not 0 } linger)
        {
            saved.SoLinger = (uint)linger.l_linger;
        }

        saved.SoFilter.AddRange(SocketOption.GetFilter(socket).Select(ToImage));
        return saved;
    }

    /// <summary>Sets the options of a new socket, those alone that it does not have anyway.</summary>
    public static void Restore(SafeFileHandle socket, SkOptsEntry saved)
    {
        RestoreBuffers(socket, saved);
        foreach (var (option, get, _) in s_switches)
        {
            SetUnless(socket, option, get(saved) ? 1 : 0);
        }

        if (saved.HasSoPriority)
        {
            SetUnless(socket, SocketOption.SO_PRIORITY, (int)saved.SoPriority);
        }

        if (saved.HasSoRcvlowat)
        {
            SetUnless(socket, SocketOption.SO_RCVLOWAT, (int)saved.SoRcvlowat);
        }

        if (saved.SoMark != 0)
        {
            SocketOption.Set(socket, SocketOption.SO_MARK, saved.SoMark);
        }

        if (saved.HasSoLinger)
        {
            SocketOption.Set(socket, SocketOption.SO_LINGER, new SocketOption.linger { l_onoff = 1, l_linger = (int)saved.SoLinger });
        }

        RestoreTimes(socket, saved);
        if (saved.SoFilter.Count > 0)
        {
            SocketOption.AttachFilter(socket, [.. saved.SoFilter.Select(FromImage)]);
        }
    }

    /// <summary>Gives a socket that has something to send all the room that it may have.</summary>
    public static void Widen(SafeFileHandle socket, int bytes)
    {
        if (SocketOption.Get<int>(socket, SocketOption.SO_SNDBUF) < bytes && !SocketOption.TrySet(socket, SocketOption.SO_SNDBUFFORCE, bytes, out _))
        {
            SocketOption.Set(socket, SocketOption.SO_SNDBUF, bytes);
        }
    }

    /// <summary>Sets how long a new socket waits, where there is an end to that.</summary>
    public static void RestoreTimes(SafeFileHandle socket, SkOptsEntry saved)
    {
        if ((saved.SoSndTmoSec | saved.SoSndTmoUsec) != 0)
        {
            SocketOption.Set(socket, SocketOption.SO_SNDTIMEO, new SocketOption.timeval { tv_sec = (long)saved.SoSndTmoSec, tv_usec = (long)saved.SoSndTmoUsec });
        }

        if ((saved.SoRcvTmoSec | saved.SoRcvTmoUsec) != 0)
        {
            SocketOption.Set(socket, SocketOption.SO_RCVTIMEO, new SocketOption.timeval { tv_sec = (long)saved.SoRcvTmoSec, tv_usec = (long)saved.SoRcvTmoUsec });
        }
    }

    private static void RestoreBuffers(SafeFileHandle socket, SkOptsEntry saved)
    {
        int before = SocketOption.TryGet(socket, SocketOption.SO_BUF_LOCK) ?? 0;
        SetBuffer(socket, SocketOption.SO_SNDBUF, SocketOption.SO_SNDBUFFORCE, saved.SoSndbuf);
        SetBuffer(socket, SocketOption.SO_RCVBUF, SocketOption.SO_RCVBUFFORCE, saved.SoRcvbuf);
        int after = SocketOption.TryGet(socket, SocketOption.SO_BUF_LOCK) ?? 0;
        int wanted = saved.HasSoBufLock ? (int)saved.SoBufLock & (SendBufferLocked | ReceiveBufferLocked) : before;
        if (after != wanted)
        {
            SocketOption.Set(socket, SocketOption.SO_BUF_LOCK, wanted);
        }
    }

    private static void SetBuffer(SafeFileHandle socket, int option, int forced, uint saved)
    {
        uint Size() => SocketOption.Get<uint>(socket, option);

        if (Size() == saved)
        {
            return;
        }

        if (!SocketOption.TrySet(socket, forced, saved / 2, out int errno))
        {
            SocketOption.Set(socket, option, saved / 2);
            if (Size() < saved)
            {
                throw new CriuException(
                    "BufferNotPermitted", CriuErrorKind.PermissionDenied, $"a socket had a buffer of {saved} bytes, which is more than is permitted here ({Size()})")
                {
                    Errno = errno, Remedy = "restore with CAP_NET_ADMIN, or raise net.core.wmem_max and net.core.rmem_max",
                };
            }
        }
    }

    private static void SetUnless(SafeFileHandle socket, int option, int value)
    {
        if (SocketOption.TryGet(socket, option) is { } present && present != value)
        {
            SocketOption.Set(socket, option, value);
        }
    }

    // In images an instruction is a number: code, jt, jf and k, from the highest bits on; in memory the fields are in this order (struct sock_filter).
    private static ulong ToImage(ulong instruction) =>
        (instruction << 48) | (((instruction >> 16) & 0xff) << 40) | (((instruction >> 24) & 0xff) << 32) | (instruction >> 32);

    private static ulong FromImage(ulong saved) => (saved >> 48) | (((saved >> 40) & 0xff) << 16) | (((saved >> 32) & 0xff) << 24) | (saved << 32);
}
