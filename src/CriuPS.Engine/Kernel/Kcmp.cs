using System.Runtime.InteropServices;

namespace CriuPS.Engine.Kernel;

/// <summary>kcmp(2): whether two processes share a kernel object.</summary>
internal static class Kcmp
{
    public const int KCMP_FILE = 0, KCMP_VM = 1, KCMP_FILES = 2, KCMP_FS = 3, KCMP_SIGHAND = 4, KCMP_EPOLL_TFD = 7;

    /// <summary>struct kcmp_epoll_slot, include/uapi/linux/kcmp.h.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct kcmp_epoll_slot
    {
        public uint efd;
        public uint tfd;
        public uint toff;
    }

    /// <summary>Whether two tasks share an object of a kind.</summary>
    public static bool Same(int pid1, int pid2, int type) => Compare(pid1, pid2, type) == 0;

    /// <summary>As <see cref="Same"/>; false where one of them is gone.</summary>
    public static bool TrySame(int pid1, int pid2, int type) => Syscall.Invoke(SyscallNumber.kcmp, pid1, pid2, type, 0, 0) == 0;

    /// <summary>The order of two tasks' objects of a kind: negative, 0 for the same, positive. It holds as long as the objects live.</summary>
    public static int Compare(int pid1, int pid2, int type) => Order(
        Syscall.Check(Syscall.Invoke(SyscallNumber.kcmp, pid1, pid2, type, 0, 0), () => $"kcmp({pid1}, {pid2}, {type})"));

    /// <summary>The order of two open files: negative, 0 for the same, positive.</summary>
    public static int CompareFiles(int pid1, int fd1, int pid2, int fd2) => Order(
        Syscall.Check(Syscall.Invoke(SyscallNumber.kcmp, pid1, pid2, KCMP_FILE, fd1, fd2), () => $"kcmp({pid1}, {pid2}, KCMP_FILE)"));

    /// <summary>Whether two descriptors are one open file.</summary>
    public static bool SameFile(int pid1, int fd1, int pid2, int fd2) => CompareFiles(pid1, fd1, pid2, fd2) == 0;

    /// <summary>Whether a descriptor of a process is what an epoll set watches under a number (since Linux 4.13).</summary>
    /// <param name="pid">The process.</param>
    /// <param name="fd">The descriptor.</param>
    /// <param name="epollPid">A process that has the epoll set.</param>
    /// <param name="epoll">Its number there.</param>
    /// <param name="number">The number that the set knows the file by.</param>
    /// <param name="offset">Which of several files that the set knows by this number.</param>
    public static unsafe bool IsEpollTarget(int pid, int fd, int epollPid, int epoll, int number, int offset)
    {
        kcmp_epoll_slot slot = new() { efd = (uint)epoll, tfd = (uint)number, toff = (uint)offset };
        long result = Syscall.Invoke(SyscallNumber.kcmp, pid, epollPid, KCMP_EPOLL_TFD, fd, (long)&slot);
        return Syscall.Check(result, () => $"kcmp({pid}, {epollPid}, KCMP_EPOLL_TFD)") == 0;
    }

    // kcmp(2): 0 equal, 1 less, 2 greater.
    private static int Order(long result) => result == 1 ? -1 : (int)result;
}
