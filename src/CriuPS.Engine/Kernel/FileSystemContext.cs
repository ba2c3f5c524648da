namespace CriuPS.Engine.Kernel;

/// <summary>Root and working directory of the calling thread alone (struct fs_struct): unshare(2), chroot(2), chdir(2). The thread is nobody else's afterwards.</summary>
internal static unsafe class FileSystemContext
{
    public const int CLONE_FS = 0x200;

    /// <summary>Runs something on a thread whose directories are its own, and waits for its end.</summary>
    public static void Run(Action action)
    {
        System.Runtime.ExceptionServices.ExceptionDispatchInfo? failure = null;
        Thread thread = new(() =>
        {
            try
            {
                Syscall.Check(Syscall.Invoke(SyscallNumber.unshare, CLONE_FS), "unshare(CLONE_FS)");
                action();
            }
            catch (Exception e)
            {
                failure = System.Runtime.ExceptionServices.ExceptionDispatchInfo.Capture(e);
            }
        });
        thread.Start();
        thread.Join();
        failure?.Throw();
    }

    /// <summary>Changes the working directory; the result is the errno, 0 for success.</summary>
    public static int TryChange(ReadOnlySpan<byte> path) => Named(SyscallNumber.chdir, path);

    /// <summary>Makes the working directory the root.</summary>
    /// <exception cref="Errors.KernelException">Most likely CAP_SYS_CHROOT is missing.</exception>
    public static void TakeAsRoot() => Syscall.Check(-Named(SyscallNumber.chroot, "."u8), "chroot");

    /// <summary>Makes an open directory root and working directory.</summary>
    public static void Return(Microsoft.Win32.SafeHandles.SafeFileHandle root)
    {
        Syscall.Check(Syscall.Invoke(SyscallNumber.fchdir, root.DangerousGetHandle()), "fchdir");
        TakeAsRoot();
    }

    private static int Named(int call, ReadOnlySpan<byte> path)
    {
        byte[] terminated = [.. path, 0];
        fixed (byte* text = terminated)
        {
            long result = Syscall.Invoke(call, (long)text);
            return Syscall.IsError(result) ? (int)-result : 0;
        }
    }
}
