using System.Text;

namespace CriuPS.Engine.Kernel;

/// <summary>What the kernel calls a kind of socket: the attribute system.sockprotoname of its inode (net/socket.c), which can be read through /proc.</summary>
internal static unsafe class SocketName
{
    private const int LongestName = 32;

    /// <summary>The name of a socket's protocol, such as TCP, UDPv6, NETLINK; null where it is not told.</summary>
    /// <param name="link">The link in /proc that leads to the socket.</param>
    public static string? TryRead(string link)
    {
        byte* value = stackalloc byte[LongestName];
        fixed (byte* path = CString.From(link), name = "system.sockprotoname\0"u8)
        {
            long length = Syscall.Invoke(SyscallNumber.getxattr, (long)path, (long)name, (long)value, LongestName);
            return length <= 0 ? null : Encoding.ASCII.GetString(value, (int)length).TrimEnd('\0');
        }
    }
}
