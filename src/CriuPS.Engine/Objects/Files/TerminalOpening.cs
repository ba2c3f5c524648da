using System.Diagnostics;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Images;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// The restore's half of terminals. Opening /dev/ptmx makes a pseudoterminal with the lowest free number, so it is opened until the old number comes. Slaves are
/// opened through their masters (TIOCGPTPEER, since Linux 4.13). A slave without a master in the images is the terminal of the caller.
/// </summary>
/// <param name="set">The image set.</param>
internal sealed class TerminalOpening(ImageSet set) : IDisposable
{
    private const int MostNumbers = 4096, PauseMicroseconds = 5000;

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(2);

    private readonly Dictionary<uint, SafeFileHandle> _masters = [], _leaving = [];
    private Dictionary<uint, TtyInfoEntry>? _infos;
    private HashSet<uint>? _ownMasters;

    private Dictionary<uint, TtyInfoEntry> Infos => _infos ??= ReadInfos();

    /// <summary>The terminal with a number of the images.</summary>
    public TtyInfoEntry Find(uint id) => Infos.GetValueOrDefault(id)
        ?? throw new ImageException(ImageException.MalformedEntry, set.FullName(ImageType.TtyInfo.FileName()), 0, $"it lacks terminal {id}");

    /// <summary>Opens a terminal as a descriptor of a process had it.</summary>
    public SafeFileHandle Open(TtyFileEntry file, RegFileEntry name, FileOpening opening)
    {
        TtyInfoEntry info = Find(file.TtyInfoId);
        int flags = ((int)file.Flags & ~(Fcntl.O_CLOEXEC | Fcntl.O_ASYNC)) | Fcntl.O_NOCTTY;
        if (info.Type == TtyType.Ctty)
        {
            // The process opens it itself when it has its terminal; until then something else keeps the number.
            return OpenAt.Open("/dev/null", Fcntl.O_RDWR);
        }

        if (IsOfMachine(info))
        {
            SafeFileHandle terminal = RegularFile.Open(name, flags, opening);
            Settle(info, terminal);
            return terminal;
        }

        if (IsHungUp(info))
        {
            return Terminal.OpenSlave(Leaving(info.Pty.Index), flags);
        }

        if (IsMaster(info))
        {
            SafeFileHandle master = Fcntl.Duplicate(Master(info.Pty.Index, name));
            Fcntl.Control(master, Fcntl.F_SETFL, flags);
            return master;
        }

        return HasMaster(info.Pty.Index) ? Terminal.OpenSlave(Master(info.Pty.Index, MasterName()), flags) : OpenCallers(flags);
    }

    /// <summary>The terminal that a session of the tree has as its own, and the group in its foreground; null where it has none.</summary>
    /// <returns>A slave, which is the receiver's.</returns>
    public (SafeFileHandle Slave, int Foreground)? Controlling(int session)
    {
        TtyInfoEntry? info = Infos.Values.FirstOrDefault(i => i.Type == TtyType.Pty && i.Sid == (uint)session && HasMaster(i.Pty.Index));
        return info is null
            ? null
            : (Terminal.OpenSlave(Master(info.Pty.Index, MasterName()), Fcntl.O_RDWR | Fcntl.O_NOCTTY), (int)info.Pgrp);
    }

    /// <summary>The last step, when all is open: settings, size, what nobody has read, locks.</summary>
    public void Finish()
    {
        Leave();
        ILookup<uint, TtyDataEntry> data = set.ReadAll<TtyDataEntry>(ImageType.TtyData).ToLookup(d => d.TtyId);
        foreach ((uint index, SafeFileHandle master) in _masters)
        {
            TtyInfoEntry info = Infos.Values.First(i => i.Type == TtyType.Pty && i.Pty.Index == index && IsMaster(i));
            foreach (TtyDataEntry output in data[info.Id])
            {
                TerminalContent.PutOutput(master, output.Data.Span);
            }

            Settle(info, master);
            if (Infos.Values.FirstOrDefault(i => i.Type == TtyType.Pty && i.Pty.Index == index && !IsMaster(i)) is { } slave)
            {
                SettleSlave(slave, master, data[slave.Id]);
            }

            Terminal.SetLocked(master, info.Locked);
        }
    }

    public void Dispose()
    {
        Leave();
        foreach (SafeFileHandle master in _masters.Values)
        {
            master.Dispose();
        }
    }

    /// <summary>Whether a terminal is a device of the machine, whose settings stay as they are when programs end; they are set all the same.</summary>
    public static bool IsOfMachine(TtyInfoEntry info) => info.Type is TtyType.Console or TtyType.Vt or TtyType.Serial;

    // A slave that was hung up by the end of its master.
    private bool IsHungUp(TtyInfoEntry info) => info.Type == TtyType.Pty && !IsMaster(info) && info.Termios is null && !HasMaster(info.Pty.Index);

    private SafeFileHandle Leaving(uint index)
    {
        if (!_leaving.TryGetValue(index, out SafeFileHandle? master))
        {
            master = _leaving[index] = MakeMaster(index, MasterName());
            Terminal.SetLocked(master, false);
        }

        return master;
    }

    private void Leave()
    {
        foreach (SafeFileHandle master in _leaving.Values)
        {
            master.Dispose();
        }

        _leaving.Clear();
    }

    private static bool IsMaster(TtyInfoEntry info) => info.Type == TtyType.Pty && ((info.Rdev >> 8) & 0xfff) == 5;

    private bool HasMaster(uint index) =>
        (_ownMasters ??= [.. Infos.Values.Where(IsMaster).Select(i => i.Pty.Index)]).Contains(index);

    private Dictionary<uint, TtyInfoEntry> ReadInfos()
    {
        Dictionary<uint, TtyInfoEntry> infos = [];
        foreach (TtyInfoEntry info in set.ReadAll<TtyInfoEntry>(ImageType.TtyInfo))
        {
            bool known = info.Type == TtyType.Ctty || IsOfMachine(info) || (info.Type == TtyType.Pty && info.Pty is not null);
            if (!known || !infos.TryAdd(info.Id, info))
            {
                throw new CriuException("TerminalNotSupported", CriuErrorKind.NotSupported, $"terminal {info.Id} of the images is of kind {info.Type}, or there twice");
            }
        }

        return infos;
    }

    private static RegFileEntry MasterName() => new() { Name = Google.Protobuf.ByteString.CopyFromUtf8("/dev/ptmx"), Flags = Fcntl.O_RDWR };

    private SafeFileHandle Master(uint index, RegFileEntry name)
    {
        if (!_masters.TryGetValue(index, out SafeFileHandle? master))
        {
            master = _masters[index] = MakeMaster(index, name);
            Terminal.SetLocked(master, false);
        }

        return master;
    }

    // Who had it last may be dead and not have let go of it: files on their way in the queues of sockets outlive those for a moment (net/unix/garbage.c).
    private static SafeFileHandle MakeMaster(uint index, RegFileEntry name)
    {
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            if (TryMakeMaster(index, name) is { } master)
            {
                return master;
            }

            if (Stopwatch.GetElapsedTime(start) > s_patience)
            {
                throw new CriuException("TerminalInUse", CriuErrorKind.AlreadyExists, $"terminal /dev/pts/{index} is in use")
                {
                    Subject = $"/dev/pts/{index}", Remedy = "end the program that has it",
                };
            }

            Nap.Microseconds(PauseMicroseconds);
        }
    }

    private static SafeFileHandle? TryMakeMaster(uint index, RegFileEntry name)
    {
        List<SafeFileHandle> others = [];
        try
        {
            while (others.Count < MostNumbers)
            {
                SafeFileHandle master = OpenAt.TryOpen(null, CString.From(name.Name.Span), Fcntl.O_RDWR | Fcntl.O_NOCTTY, out int errno)
                    ?? throw new KernelException("open of /dev/ptmx", errno);
                int number = Terminal.Index(master);
                if (number == index)
                {
                    return master;
                }

                others.Add(master);
                if (number > index)
                {
                    break;
                }
            }
        }
        finally
        {
            others.ForEach(o => o.Dispose());
        }

        return null;
    }

    private static SafeFileHandle OpenCallers(int flags)
    {
        for (int fd = 0; fd <= 2; fd++)
        {
            using SafeFileHandle own = new(fd, ownsHandle: false);
            if (Terminal.Settings(own) is not null)
            {
                return OpenAt.Open($"/proc/self/fd/{fd}", flags);
            }
        }

        throw new CriuException("NoTerminal", CriuErrorKind.BadOption, "the tree had a terminal, and this command has none to give it")
        {
            Remedy = "restore from a terminal",
        };
    }

    private static void Settle(TtyInfoEntry info, SafeFileHandle master)
    {
        if (info.Termios is { } settings)
        {
            Terminal.SetSettings(master, FromEntry(settings));
        }

        if (info.TermiosLocked is { } locks && ((locks.CIflag | locks.COflag | locks.CCflag | locks.CLflag) != 0 || locks.CCc.Any(c => c != 0)))
        {
            Terminal.LockSettings(master, FromEntry(locks));
        }

        if (info.Winsize is { } size)
        {
            Terminal.SetWindowSize(master, new Terminal.winsize
            {
                ws_row = (ushort)size.WsRow, ws_col = (ushort)size.WsCol, ws_xpixel = (ushort)size.WsXpixel, ws_ypixel = (ushort)size.WsYpixel,
            });
        }

        if (info.PacketMode)
        {
            Terminal.SetPacketMode(master);
        }

        if (info.Exclusive)
        {
            Terminal.SetExclusive(master);
        }
    }

    // Only where somebody has the slave: a master whose slave was opened and closed again would read the end of file.
    private static void SettleSlave(TtyInfoEntry info, SafeFileHandle master, IEnumerable<TtyDataEntry> input)
    {
        using SafeFileHandle slave = Terminal.OpenSlave(master, Fcntl.O_RDWR | Fcntl.O_NOCTTY);
        InodeAttributes.SetOwner(slave, info.Uid, info.Gid);
        foreach (TtyDataEntry typed in input)
        {
            TerminalContent.PutInput(master, typed.Data.Span);
        }
    }

    private static Terminal.termios FromEntry(TermiosEntry entry)
    {
        Terminal.termios settings = new()
        {
            c_iflag = entry.CIflag, c_oflag = entry.COflag, c_cflag = entry.CCflag, c_lflag = entry.CLflag, c_line = (byte)entry.CLine,
        };
        for (int i = 0; i < Math.Min(entry.CCc.Count, Terminal.ControlCharacters); i++)
        {
            settings.c_cc[i] = (byte)entry.CCc[i];
        }

        return settings;
    }
}
