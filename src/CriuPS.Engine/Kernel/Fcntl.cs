using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Kernel;

/// <summary>fcntl(2), lseek(2), pipe(2), and the flags that open files have.</summary>
internal static unsafe class Fcntl
{
    public const int O_RDONLY = 0, O_WRONLY = 1, O_RDWR = 2, O_ACCMODE = 3, O_CREAT = 0x40, O_EXCL = 0x80, O_NOCTTY = 0x100, O_TRUNC = 0x200;
    public const int O_APPEND = 0x400, O_NONBLOCK = 0x800, O_DIRECT = 0x4000, O_DIRECTORY = 0x10000, O_NOFOLLOW = 0x20000;
    public const int O_CLOEXEC = 0x80000, O_PATH = 0x200000, O_ASYNC = 0x2000, O_TMPFILE = 0x410000;
    private const int FIONREAD = 0x541b;

    /// <summary>O_LARGEFILE, which the C library calls 0 on x86-64 because the kernel sets it there for every open(2).</summary>
    public const int LargeFile = 0x8000;

    public const int F_DUPFD = 0, F_GETFD = 1, F_SETFD = 2, F_GETFL = 3, F_SETFL = 4, F_GETOWN = 9, F_GETSIG = 11, F_DUPFD_CLOEXEC = 1030;
    public const int F_SETPIPE_SZ = 1031, F_GETPIPE_SZ = 1032;
    public const int FD_CLOEXEC = 1, SEEK_SET = 0, SEEK_CUR = 1, SEEK_DATA = 3, SEEK_HOLE = 4;

    /// <summary>fcntl with a number as argument.</summary>
    public static int Control(SafeFileHandle handle, int command, long argument = 0) =>
        (int)Syscall.Check(
            Syscall.Invoke(SyscallNumber.fcntl, handle.DangerousGetHandle(), command, argument),
            () => $"fcntl(command {command}, 0x{argument:x})");

    /// <summary>fcntl that fills a structure.</summary>
    public static T Get<T>(SafeFileHandle handle, int command) where T : unmanaged
    {
        T value = default;
        Syscall.Check(
            Syscall.Invoke(SyscallNumber.fcntl, handle.DangerousGetHandle(), command, (long)&value), () => $"fcntl(command {command})");
        return value;
    }

    /// <inheritdoc cref="Control(SafeFileHandle, int, long)"/>
    public static long Control(in BorrowedDescriptor file, int command, long argument = 0) =>
        Syscall.Check(Syscall.Invoke(SyscallNumber.fcntl, file.Number, command, argument), "fcntl of an open file");

    /// <inheritdoc cref="Get{T}(SafeFileHandle, int)"/>
    public static T Get<T>(in BorrowedDescriptor file, int command) where T : unmanaged
    {
        T value = default;
        Syscall.Check(Syscall.Invoke(SyscallNumber.fcntl, file.Number, command, (long)&value), "fcntl of an open file");
        return value;
    }

    /// <summary>How many bytes can be read from a pipe (ioctl FIONREAD).</summary>
    public static int Readable(SafeFileHandle pipe)
    {
        int count;
        Syscall.Check(Syscall.Invoke(SyscallNumber.ioctl, pipe.DangerousGetHandle(), FIONREAD, (long)&count), "ioctl(FIONREAD)");
        return count;
    }

    public static void Seek(SafeFileHandle handle, long position) =>
        Syscall.Check(Syscall.Invoke(SyscallNumber.lseek, handle.DangerousGetHandle(), position, SEEK_SET), () => $"lseek({position})");

    /// <summary>The next data or hole (SEEK_DATA, SEEK_HOLE) from an offset on, or minus an errno; the descriptor's position becomes it.</summary>
    public static long TrySeek(SafeFileHandle handle, long offset, int whence) =>
        Syscall.Invoke(SyscallNumber.lseek, handle.DangerousGetHandle(), offset, whence);

    /// <summary>Another descriptor of the same open file.</summary>
    public static SafeFileHandle Duplicate(SafeFileHandle handle) => new(Control(handle, F_DUPFD_CLOEXEC), ownsHandle: true);

    public static (SafeFileHandle Read, SafeFileHandle Write) Pipe(int flags)
    {
        int* ends = stackalloc int[2];
        Syscall.Check(Syscall.Invoke(SyscallNumber.pipe2, (long)ends, flags | O_CLOEXEC), "pipe2");
        return (new SafeFileHandle(ends[0], ownsHandle: true), new SafeFileHandle(ends[1], ownsHandle: true));
    }

    /// <summary>Copies what is in a pipe into another without taking it out (tee(2)).</summary>
    public static long Tee(SafeFileHandle from, SafeFileHandle to, long length, int flags) =>
        Syscall.Invoke(SyscallNumber.tee, from.DangerousGetHandle(), to.DangerousGetHandle(), length, flags);

    public static long Write(SafeFileHandle handle, ReadOnlySpan<byte> buffer)
    {
        fixed (byte* p = buffer)
        {
            return Syscall.Invoke(SyscallNumber.write, handle.DangerousGetHandle(), (long)p, buffer.Length);
        }
    }
}
