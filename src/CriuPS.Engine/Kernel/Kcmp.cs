namespace CriuPS.Engine.Kernel;

/// <summary>kcmp(2): whether two processes share a kernel object.</summary>
internal static class Kcmp
{
    public const int KCMP_FILE = 0, KCMP_VM = 1, KCMP_FILES = 2, KCMP_FS = 3, KCMP_SIGHAND = 4;

    /// <summary>Whether two descriptors are one open file.</summary>
    public static bool SameFile(int pid1, int fd1, int pid2, int fd2) =>
        Syscall.Check(Syscall.Invoke(SyscallNumber.kcmp, pid1, pid2, KCMP_FILE, fd1, fd2), () => $"kcmp({pid1}, {pid2}, KCMP_FILE)") == 0;

    /// <summary>Whether two tasks share an object of a kind.</summary>
    public static bool Same(int pid1, int pid2, int type) =>
        Syscall.Check(Syscall.Invoke(SyscallNumber.kcmp, pid1, pid2, type, 0, 0), () => $"kcmp({pid1}, {pid2}, {type})") == 0;
}
