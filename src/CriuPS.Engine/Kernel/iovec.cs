using System.Runtime.InteropServices;

namespace CriuPS.Engine.Kernel;

/// <summary>struct iovec (include/uapi/linux/uio.h): a piece of memory, of this process or of another one.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct iovec
{
    public ulong iov_base;
    public ulong iov_len;
}
