using System.Runtime.InteropServices;

namespace CriuPS.Engine.Kernel;

/// <summary>userfaultfd(2) and ioctl_userfaultfd(2), as far as they are used (include/uapi/linux/userfaultfd.h).</summary>
internal static class UserFault
{
    public const int UFFD_USER_MODE_ONLY = 1;
    public const ulong UFFD_API = 0xaa;
    public const uint UFFDIO_API = 0xc018aa3f;

    /// <summary>What the kernel and a program agree on.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct uffdio_api
    {
        public ulong api;
        public ulong features;
        public ulong ioctls;
    }
}
