namespace CriuPS.Engine.Kernel;

/// <summary>What kind of file system a file is on: the first word of statfs(2) (include/uapi/linux/magic.h).</summary>
internal static unsafe class FileSystemType
{
    public const long HUGETLBFS_MAGIC = 0x958458f6;

    private const int StructSize = 120;

    /// <summary>The kind of a file system, by any path in it.</summary>
    /// <exception cref="Errors.KernelException">There is no such path.</exception>
    public static long Of(string path)
    {
        long* answer = stackalloc long[StructSize / sizeof(long)];
        fixed (byte* name = CString.From(path))
        {
            Syscall.Check(Syscall.Invoke(SyscallNumber.statfs, (long)name, (long)answer), () => $"statfs({path})");
        }

        return answer[0];
    }
}
