using CriuPS.Engine.Compel;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// A file from which a process reads signals (signalfd(2), struct signalfd_ctx). The kernel keeps a mask in it and nothing else, the signals being the
/// reader's own; fdinfo tells the mask, signalfd4(2) makes the file again.
/// </summary>
internal sealed class SignalFile : IFileKind, ISelfMade
{
    public FdTypes Type => FdTypes.Signalfd;

    public bool Recognizes(OpenFile file) => file.Link.Bytes.SequenceEqual("anon_inode:[signalfd]"u8);

    public (string Reason, string Remedy)? Objection(OpenFile file, TreeFiles tree) => null;

    public FileEntry Save(OpenFile file, HeldFile held, uint id, FileImages images) => new()
    {
        Type = Type, Id = id,
        Sgfd = new SignalfdEntry { Id = id, Flags = (uint)file.FileFlags, Sigmask = file.Info!.SignalMask!.Value, Fown = FileOwner.Save(file, images.Tree) },
    };

    public void Validate(FileEntry entry, FileOpening opening)
    {
    }

    public SafeFileHandle Open(FileEntry entry, FileOpening opening) =>
        EventFiles.SignalFd(entry.Sgfd.Sigmask, (int)entry.Sgfd.Flags & Fcntl.O_NONBLOCK);

    public bool CanBeSelfMade(FileEntry entry, FileOpening opening) => true;

    public void AddMaking(FileEntry entry, int number, bool closeOnExec, SyscallBatch batch)
    {
        SyscallProgram program = batch.Room(1, 2 * sizeof(ulong));
        int flags = ((int)entry.Sgfd.Flags & Fcntl.O_NONBLOCK) | (closeOnExec ? Fcntl.O_CLOEXEC : 0);
        program.Add("signalfd4", SyscallNumber.signalfd4, -1, program.Put(entry.Sgfd.Sigmask), sizeof(ulong), flags);
    }
}
