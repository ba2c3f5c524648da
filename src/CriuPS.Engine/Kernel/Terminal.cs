using System.Runtime.InteropServices;
using CriuPS.Engine.Errors;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Kernel;

/// <summary>ioctl_tty(2): terminals and pseudoterminals.</summary>
internal static unsafe class Terminal
{
    public const int TIOCSCTTY = 0x540e, TIOCSPGRP = 0x5410, TIOCGPTPEER = 0x5441;

    /// <summary>c_lflag: input comes line by line.</summary>
    public const uint ICANON = 2;

    /// <summary>Control characters of struct termios (include/uapi/asm-generic/termbits.h, NCCS).</summary>
    public const int ControlCharacters = 19;

    private const int TCGETS = 0x5401, TCSETS = 0x5402, TIOCEXCL = 0x540c, TIOCGWINSZ = 0x5413, TIOCSWINSZ = 0x5414, FIONREAD = 0x541b, TIOCPKT = 0x5420;
    private const int TIOCGLCKTRMIOS = 0x5456, TIOCSLCKTRMIOS = 0x5457, TIOCGEXCL = unchecked((int)0x80045440), TIOCGPKT = unchecked((int)0x80045438);
    private const int TIOCGPTLCK = unchecked((int)0x80045439), TIOCGPTN = unchecked((int)0x80045430), TIOCSPTLCK = 0x40045431;

    /// <summary>struct termios, as TCGETS fills it.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct termios
    {
        public uint c_iflag;
        public uint c_oflag;
        public uint c_cflag;
        public uint c_lflag;
        public byte c_line;
        public ControlCharacterArray c_cc;
    }

    /// <summary>struct winsize.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct winsize
    {
        public ushort ws_row;
        public ushort ws_col;
        public ushort ws_xpixel;
        public ushort ws_ypixel;
    }

    /// <summary>The characters of struct termios.</summary>
    [System.Runtime.CompilerServices.InlineArray(ControlCharacters)]
    public struct ControlCharacterArray
    {
        private byte _first;
    }

    /// <summary>The line settings; null where the terminal has been hung up (EIO).</summary>
    public static termios? Settings(SafeFileHandle terminal) => TryGet(terminal, TCGETS, out termios value) ? value : null;

    public static void SetSettings(SafeFileHandle terminal, termios settings) => Set(terminal, TCSETS, settings, "TCSETS");

    /// <summary>Which of the settings nobody may change.</summary>
    public static termios? LockedSettings(SafeFileHandle terminal) => TryGet(terminal, TIOCGLCKTRMIOS, out termios value) ? value : null;

    /// <summary>Needs CAP_SYS_ADMIN.</summary>
    public static void LockSettings(SafeFileHandle terminal, termios locks) => Set(terminal, TIOCSLCKTRMIOS, locks, "TIOCSLCKTRMIOS");

    public static winsize WindowSize(SafeFileHandle terminal) => TryGet(terminal, TIOCGWINSZ, out winsize value) ? value : default;

    public static void SetWindowSize(SafeFileHandle terminal, winsize size) => Set(terminal, TIOCSWINSZ, size, "TIOCSWINSZ");

    /// <summary>The N of /dev/pts/N, asked of a master.</summary>
    public static int Index(SafeFileHandle master) => Number(master, TIOCGPTN);

    /// <summary>Opens the slave of a master, whatever is mounted where.</summary>
    public static SafeFileHandle OpenSlave(SafeFileHandle master, int flags)
    {
        // Unlike open(2), this keeps O_CLOEXEC among the flags of the open file for ever.
        long fd = Syscall.Check(Syscall.Invoke(SyscallNumber.ioctl, master.DangerousGetHandle(), TIOCGPTPEER, flags), "ioctl(TIOCGPTPEER)");
        SafeFileHandle slave = new((nint)fd, ownsHandle: true);
        Fcntl.Control(slave, Fcntl.F_SETFD, Fcntl.FD_CLOEXEC);
        return slave;
    }

    /// <summary>Whether the slave of a master cannot be opened yet (grantpt(3), unlockpt(3)).</summary>
    public static bool IsLocked(SafeFileHandle master) => Number(master, TIOCGPTLCK) != 0;

    public static void SetLocked(SafeFileHandle master, bool locked) => Set(master, TIOCSPTLCK, locked ? 1 : 0, "TIOCSPTLCK");

    public static bool IsExclusive(SafeFileHandle terminal) => Number(terminal, TIOCGEXCL) != 0;

    public static void SetExclusive(SafeFileHandle terminal) =>
        Syscall.Check(Syscall.Invoke(SyscallNumber.ioctl, terminal.DangerousGetHandle(), TIOCEXCL, 0), "ioctl(TIOCEXCL)");

    /// <summary>Whether a master tells of flow control in front of each piece of data.</summary>
    public static bool IsPacketMode(SafeFileHandle master) => Number(master, TIOCGPKT) != 0;

    public static void SetPacketMode(SafeFileHandle master) => Set(master, TIOCPKT, 1, "TIOCPKT");

    /// <summary>How many bytes can be read.</summary>
    public static int Readable(SafeFileHandle terminal) => Number(terminal, FIONREAD);

    private static int Number(SafeFileHandle terminal, int request) => TryGet(terminal, request, out int value) ? value : 0;

    // A terminal that was hung up answers EIO, one that is no pseudoterminal ENOTTY.
    private static bool TryGet<T>(SafeFileHandle terminal, int request, out T value)
        where T : unmanaged
    {
        fixed (T* p = &value)
        {
            *p = default;
            long result = Syscall.Invoke(SyscallNumber.ioctl, terminal.DangerousGetHandle(), request, (long)p);
            return result is -Errno.EIO or -Errno.ENOTTY or -Errno.EINVAL ? false : Syscall.Check(result, () => $"ioctl(0x{request:x})") >= 0;
        }
    }

    private static void Set<T>(SafeFileHandle terminal, int request, T value, string name)
        where T : unmanaged =>
        Syscall.Check(Syscall.Invoke(SyscallNumber.ioctl, terminal.DangerousGetHandle(), request, (long)&value), $"ioctl({name})");
}
