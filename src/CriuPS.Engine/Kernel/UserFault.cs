using System.Runtime.InteropServices;

namespace CriuPS.Engine.Kernel;

/// <summary>userfaultfd(2) and ioctl_userfaultfd(2), as far as they are used (include/uapi/linux/userfaultfd.h).</summary>
internal static class UserFault
{
    public const int UFFD_USER_MODE_ONLY = 1;
    public const ulong UFFD_API = 0xaa;
    public const uint UFFDIO_API = 0xc018aa3f, UFFDIO_REGISTER = 0xc020aa00, UFFDIO_WRITEPROTECT = 0xc018aa06;
    public const ulong UFFDIO_REGISTER_MODE_MISSING = 1, UFFDIO_REGISTER_MODE_WP = 2, UFFDIO_WRITEPROTECT_MODE_WP = 1;
    public const ulong UFFD_FEATURE_WP_UNPOPULATED = 1 << 13, UFFD_FEATURE_POISON = 1 << 14, UFFD_FEATURE_WP_ASYNC = 1 << 15;

    /// <summary>What the kernel and a program agree on.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct uffdio_api
    {
        public ulong api;
        public ulong features;
        public ulong ioctls;
    }

    /// <summary>A part of memory.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct uffdio_range
    {
        public ulong start;
        public ulong len;
    }

    /// <summary>Memory that is to be watched over, and for what; the kernel adds what can be done with it.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct uffdio_register
    {
        public uffdio_range range;
        public ulong mode;
        public ulong ioctls;
    }

    /// <summary>Pages that are to be write-protected, or no longer.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct uffdio_writeprotect
    {
        public uffdio_range range;
        public ulong mode;
    }
}
