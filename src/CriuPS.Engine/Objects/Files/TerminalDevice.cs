using System.Globalization;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Objects.Files;

/// <summary>What a terminal's open file is: an end of a pseudoterminal (pty(7)), or whatever is the terminal of the session (tty(4), /dev/tty).</summary>
/// <param name="Kind">Which of them.</param>
/// <param name="Index">The N of /dev/pts/N, or what tells terminals of a kind apart; -1 for the terminal of the session.</param>
internal readonly record struct TerminalDevice(TerminalKind Kind, int Index)
{
    /// <summary>Whether it is a device of the machine, which is there whoever has it open.</summary>
    public bool IsOfMachine => Kind is TerminalKind.Console or TerminalKind.Virtual or TerminalKind.Serial;

    private const ulong TerminalMajor = 4, AuxiliaryMajor = 5, FirstSlaveMajor = 136, LastSlaveMajor = 143, UsbMajor = 188;
    private const ulong SessionMinor = 0, ConsoleMinor = 1, MasterMinor = 2, FirstSerialMinor = 64;

    private const int MinorBits = 20;

    private static ReadOnlySpan<byte> IndexKey => "tty-index:"u8;

    /// <summary>The terminal behind a descriptor; null where there is none of these kinds.</summary>
    public static TerminalDevice? Of(OpenFile file)
    {
        if (file.Kind != FileStatus.S_IFCHR || (file.FileFlags & Fcntl.O_PATH) != 0 || file.Info is null)
        {
            return null;
        }

        ulong major = (file.Status.st_rdev >> 8) & 0xfff, minor = (file.Status.st_rdev & 0xff) | ((file.Status.st_rdev >> 12) & 0xffffff00);
        return (major, minor) switch
        {
            (AuxiliaryMajor, MasterMinor) => MasterIndex(file) is { } index ? new TerminalDevice(TerminalKind.Master, index) : null,
            (AuxiliaryMajor, SessionMinor) => new TerminalDevice(TerminalKind.OfSession, -1),
            (AuxiliaryMajor, ConsoleMinor) => new TerminalDevice(TerminalKind.Console, 0),
            (TerminalMajor, < FirstSerialMinor) => new TerminalDevice(TerminalKind.Virtual, (int)minor),
            (TerminalMajor or UsbMajor, _) => new TerminalDevice(TerminalKind.Serial, (int)((major << MinorBits) | minor)),
            (>= FirstSlaveMajor and <= LastSlaveMajor, _) => new TerminalDevice(TerminalKind.Slave, (int)minor),
            _ => null,
        };
    }

    // drivers/tty/pty.c, pty_show_fdinfo, since Linux 4.14.
    private static int? MasterIndex(OpenFile file)
    {
        foreach (Proc.OsText line in file.Info!.OtherLines)
        {
            if (line.StartsWith(IndexKey))
            {
                return int.Parse(line.Bytes[IndexKey.Length..].Trim("\t "u8), CultureInfo.InvariantCulture);
            }
        }

        return null;
    }
}

/// <summary>Kinds of open files of terminals.</summary>
internal enum TerminalKind
{
    /// <summary>The end that a terminal emulator holds.</summary>
    Master,

    /// <summary>The end that programs take for a terminal.</summary>
    Slave,

    /// <summary>/dev/tty: the controlling terminal of whoever opens it.</summary>
    OfSession,

    /// <summary>/dev/console: what the kernel writes to.</summary>
    Console,

    /// <summary>/dev/ttyN: keyboard and screen.</summary>
    Virtual,

    /// <summary>/dev/ttyS* and /dev/ttyUSB*: a line.</summary>
    Serial,
}
