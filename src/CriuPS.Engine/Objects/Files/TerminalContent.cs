using CriuPS.Engine.Kernel;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// What is on its way through a pseudoterminal. The kernel keeps a queue for each direction (struct n_tty_data) and lets it be read only by taking it out; what
/// is put back must pass as it is, so the line's settings are others for the moment.
/// </summary>
internal static class TerminalContent
{
    private const int MostInput = 4096;

    /// <summary>Writes output of programs, which the master will read.</summary>
    public static void PutOutput(SafeFileHandle master, ReadOnlySpan<byte> data)
    {
        using SafeFileHandle slave = Terminal.OpenSlave(master, Fcntl.O_RDWR | Fcntl.O_NOCTTY | Fcntl.O_NONBLOCK);
        Terminal.termios settings = Terminal.Settings(slave) ?? default;
        Terminal.SetSettings(slave, settings with { c_oflag = 0 });
        try
        {
            WriteAll(slave, data);
        }
        finally
        {
            Terminal.SetSettings(slave, settings);
        }
    }

    /// <summary>Takes out all input that no program has read, unfinished lines too.</summary>
    public static byte[] TakeInput(SafeFileHandle slave)
    {
        Terminal.termios settings = Terminal.Settings(slave) ?? default;
        Terminal.SetSettings(slave, settings with { c_lflag = settings.c_lflag & ~Terminal.ICANON });
        try
        {
            byte[] data = new byte[Math.Min(Terminal.Readable(slave), MostInput)];
            return data.Length == 0 ? data : data[..(int)Syscall.Check(FileRead.Read(slave, data), "read of a terminal's input")];
        }
        finally
        {
            Terminal.SetSettings(slave, settings);
        }
    }

    /// <summary>Writes input that programs will read, line by line where the terminal is so.</summary>
    public static void PutInput(SafeFileHandle master, ReadOnlySpan<byte> data)
    {
        // It was typed, and its control characters have had their effect: nothing but the ends of lines means anything now.
        Terminal.termios settings = Terminal.Settings(master) ?? default;
        Terminal.SetSettings(master, settings with { c_iflag = 0, c_lflag = settings.c_lflag & Terminal.ICANON, c_cc = default });
        try
        {
            WriteAll(master, data);
        }
        finally
        {
            Terminal.SetSettings(master, settings);
        }
    }

    private static void WriteAll(SafeFileHandle terminal, ReadOnlySpan<byte> data)
    {
        while (!data.IsEmpty)
        {
            long written = Syscall.Check(Fcntl.Write(terminal, data), "write into a terminal");
            data = data[(int)written..];
        }
    }
}
