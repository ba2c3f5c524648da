using CriuPS.Engine.Compel;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// An open file of a terminal: master or slave of a pseudoterminal, or /dev/tty. The kernel keeps flags for each, and everything else with the terminal
/// (<see cref="TerminalImages"/>, <see cref="TerminalOpening"/>). Which one it is, device number and fdinfo tell.
/// </summary>
internal sealed class TerminalFile : IFileKind
{
    private static readonly RegularFile s_named = new();

    public FdTypes Type => FdTypes.Tty;

    public bool Recognizes(OpenFile file) => TerminalDevice.Of(file) is not null;

    public (string Reason, string Remedy)? Objection(OpenFile file, TreeFiles tree)
    {
        TerminalDevice device = TerminalDevice.Of(file)!.Value;
        if (device.Kind == TerminalKind.OfSession)
        {
            return tree.KeepsTerminal(file.Pid)
                ? null
                : ("it is the terminal of a session, which is not dumped with it", "close it before the dump");
        }

        bool whole = device.Kind == TerminalKind.Master || device.IsOfMachine || tree.HasMaster(device.Index) || file.IsDeleted;
        return whole || tree.MayUseCallersTerminal ? null
            : ("the program behind this terminal is not dumped with it", "use -ShellJob: the restored program gets the terminal of the restore's caller");
    }

    public FileEntry Save(OpenFile file, HeldFile held, uint id, FileImages images)
    {
        TerminalDevice device = TerminalDevice.Of(file)!.Value;
        uint name = images.NextId();

        // The name of a slave without its master is gone with that, and nobody opens it.
        images.Write(device.Kind == TerminalKind.Slave ? RegularFile.Entry(file, name, images) : RegularFile.Save(file, name, images));
        return new FileEntry
        {
            Type = Type, Id = id,
            Tty = new TtyFileEntry
            {
                Id = id, TtyInfoId = images.Terminals.Save(file, device, held.Handle), Flags = (uint)file.FileFlags, RegfId = name,
                Fown = FileOwner.Save(file, images.Tree),
            },
        };
    }

    public void Validate(FileEntry entry, FileOpening opening)
    {
        if (TerminalOpening.IsOfMachine(opening.Terminals.Find(entry.Tty.TtyInfoId)))
        {
            s_named.Validate(opening.File(entry.Tty.RegfId), opening);
        }
    }

    public SafeFileHandle Open(FileEntry entry, FileOpening opening) => opening.Terminals.Open(entry.Tty, opening.File(entry.Tty.RegfId).Reg, opening);
}
