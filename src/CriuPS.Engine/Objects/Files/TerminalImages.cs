using CriuPS.Engine.Errors;
using CriuPS.Engine.Images;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;
using Google.Protobuf;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// The dump's half of terminals: what belongs to the terminal and not to an open file of it. Settings, locks and size are asked of the very open file (ioctl_tty(2));
/// of which session it is the controlling terminal, and which group is in the foreground, /proc/PID/stat of the session's members tells.
/// </summary>
/// <param name="set">The image set.</param>
/// <param name="tree">The descriptors of all processes.</param>
internal sealed class TerminalImages(ImageSet set, TreeFiles tree)
{
    private const int MostData = 16384;

    private readonly Dictionary<TerminalDevice, uint> _ids = [];
    private readonly ImageWriter _infos = set.CreateWriter(ImageType.TtyInfo);
    private readonly ImageWriter _data = set.CreateWriter(ImageType.TtyData);
    private uint _last;

    /// <summary>Saves the terminal behind a descriptor unless that is done already; the result is its number in the images.</summary>
    public uint Save(OpenFile file, TerminalDevice device, SafeFileHandle handle)
    {
        // Each open file of /dev/tty stands for itself: sessions may differ.
        if (device.Kind != TerminalKind.OfSession && _ids.TryGetValue(device, out uint id))
        {
            return id;
        }

        id = _ids[device] = ++_last;
        _infos.Write(Entry(id, file, device, handle));
        if (device.Kind == TerminalKind.Master)
        {
            SaveOutput(id, file, handle);
        }
        else if (device.Kind == TerminalKind.Slave)
        {
            SaveInput(id, handle, device.Index);
        }

        return id;
    }

    private TtyInfoEntry Entry(uint id, OpenFile file, TerminalDevice device, SafeFileHandle handle)
    {
        TtyInfoEntry info = new()
        {
            Id = id, Type = TypeOf(device.Kind), Rdev = (uint)file.Status.st_rdev,
            Dev = (uint)file.Status.st_dev, Uid = file.Status.st_uid, Gid = file.Status.st_gid, Sid = 0, Pgrp = 0,
            Locked = device.Kind == TerminalKind.Master && Terminal.IsLocked(handle), Exclusive = Terminal.IsExclusive(handle),
            PacketMode = device.Kind == TerminalKind.Master && Terminal.IsPacketMode(handle),
        };
        if (device.Kind is TerminalKind.Master or TerminalKind.Slave)
        {
            info.Pty = new TtyPtyEntry { Index = (uint)device.Index };
        }

        if (Terminal.Settings(handle) is not { } settings)
        {
            // What hung it up was the end of its master: there are no settings any more.
            return device.Kind == TerminalKind.Slave && file.IsDeleted ? info
                : throw new RefusedException([new Refusal(file.Pid, "", file.ToString(), "the terminal has been hung up", "close it before the dump")]);
        }

        Terminal.winsize size = Terminal.WindowSize(handle);
        (info.Termios, info.TermiosLocked) = (ToEntry(settings), ToEntry(Terminal.LockedSettings(handle) ?? default));
        info.Winsize = new WinsizeEntry { WsRow = size.ws_row, WsCol = size.ws_col, WsXpixel = size.ws_xpixel, WsYpixel = size.ws_ypixel };
        if (tree.UserOf(device) is { } user)
        {
            (info.Sid, info.Pgrp) = ((uint)user.Session, (uint)Math.Max(user.TerminalForegroundGroup, 0));
        }

        return info;
    }

    private static TtyType TypeOf(TerminalKind kind) => kind switch
    {
        TerminalKind.OfSession => TtyType.Ctty, TerminalKind.Console => TtyType.Console, TerminalKind.Virtual => TtyType.Vt,
        TerminalKind.Serial => TtyType.Serial, _ => TtyType.Pty,
    };

    // What programs have written and nobody has read. It can only be taken out, so it is put back at once.
    private void SaveOutput(uint id, OpenFile file, SafeFileHandle master)
    {
        int waiting = Terminal.Readable(master);
        if (waiting == 0)
        {
            return;
        }

        if (waiting > MostData || Terminal.IsPacketMode(master))
        {
            throw new RefusedException([new Refusal(file.Pid, "", file.ToString(), $"{waiting} bytes of output wait in it", "try again when they have been read")]);
        }

        byte[] data = new byte[waiting];
        int length = (int)Syscall.Check(FileRead.Read(master, data), () => $"read of {file}");
        TerminalContent.PutOutput(master, data.AsSpan(0, length));
        _data.Write(new TtyDataEntry { TtyId = id, Data = ByteString.CopyFrom(data, 0, length) });
    }

    // What was typed and no program has read.
    private void SaveInput(uint id, SafeFileHandle slave, int index)
    {
        if (tree.MasterOf(index) is not { } holder)
        {
            return;
        }

        using SafeFileHandle pidfd = PidFd.Open(holder.Pid);
        using SafeFileHandle master = PidFd.GetFd(pidfd, holder.Fd);
        byte[] data = TerminalContent.TakeInput(slave);
        if (data.Length > 0)
        {
            TerminalContent.PutInput(master, data);
            _data.Write(new TtyDataEntry { TtyId = id, Data = ByteString.CopyFrom(data) });
        }
    }

    private static TermiosEntry ToEntry(Terminal.termios settings)
    {
        TermiosEntry entry = new()
        {
            CIflag = settings.c_iflag, COflag = settings.c_oflag, CCflag = settings.c_cflag, CLflag = settings.c_lflag, CLine = settings.c_line,
            CIspeed = 0, COspeed = 0,
        };
        foreach (byte character in settings.c_cc)
        {
            entry.CCc.Add(character);
        }

        return entry;
    }
}
