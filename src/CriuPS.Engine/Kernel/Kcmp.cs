namespace CriuPS.Engine.Kernel;

/// <summary>kcmp(2): whether two processes share a kernel object.</summary>
internal static class Kcmp
{
    public const int KCMP_FILE = 0, KCMP_VM = 1, KCMP_FILES = 2, KCMP_FS = 3, KCMP_SIGHAND = 4;

    /// <summary>Whether two tasks share an object of a kind.</summary>
    public static bool Same(int pid1, int pid2, int type) => Compare(pid1, pid2, type) == 0;

    /// <summary>The order of two tasks' objects of a kind: negative, 0 for the same, positive. It holds as long as the objects live.</summary>
    public static int Compare(int pid1, int pid2, int type) => Order(
        Syscall.Check(Syscall.Invoke(SyscallNumber.kcmp, pid1, pid2, type, 0, 0), () => $"kcmp({pid1}, {pid2}, {type})"));

    /// <summary>The order of two open files: negative, 0 for the same, positive.</summary>
    public static int CompareFiles(int pid1, int fd1, int pid2, int fd2) => Order(
        Syscall.Check(Syscall.Invoke(SyscallNumber.kcmp, pid1, pid2, KCMP_FILE, fd1, fd2), () => $"kcmp({pid1}, {pid2}, KCMP_FILE)"));

    /// <summary>Whether two descriptors are one open file.</summary>
    public static bool SameFile(int pid1, int fd1, int pid2, int fd2) => CompareFiles(pid1, fd1, pid2, fd2) == 0;

    // kcmp(2): 0 equal, 1 less, 2 greater.
    private static int Order(long result) => result == 1 ? -1 : (int)result;
}
