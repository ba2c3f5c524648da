using CriuPS.Engine.Compel;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// A counter that can be waited for (eventfd(2), struct eventfd_ctx). fdinfo tells the counter, and since Linux 6.5 whether it counts like a semaphore; images
/// have no field for that: it is the bit EFD_SEMAPHORE of the flags, which no flag of an open file uses. eventfd2(2) makes it again.
/// </summary>
internal sealed class EventFile : IFileKind, ISelfMade
{
    private const int AtCreation = EventFiles.EFD_SEMAPHORE | Fcntl.O_NONBLOCK;

    public FdTypes Type => FdTypes.Eventfd;

    public bool Recognizes(OpenFile file) => file.Link.Bytes.SequenceEqual("anon_inode:[eventfd]"u8);

    public (string Reason, string Remedy)? Objection(OpenFile file, TreeFiles tree) => null;

    public FileEntry Save(OpenFile file, HeldFile held, uint id, FileImages images)
    {
        Proc.EventFdState state = file.Info!.EventFd!.Value;
        int semaphore = state.Semaphore == true ? EventFiles.EFD_SEMAPHORE : 0;
        return new FileEntry
        {
            Type = Type, Id = id,
            Efd = new EventfdFileEntry { Id = id, Flags = (uint)(file.FileFlags | semaphore), Counter = state.Count, Fown = FileOwner.Save(file, images.Tree) },
        };
    }

    public void Validate(FileEntry entry, FileOpening opening)
    {
    }

    public SafeFileHandle Open(FileEntry entry, FileOpening opening) =>
        EventFiles.EventFd(entry.Efd.Counter, (int)entry.Efd.Flags & AtCreation);

    // What eventfd2(2) takes as the first value has 32 bits.
    public bool CanBeSelfMade(FileEntry entry, FileOpening opening) => entry.Efd.Counter <= uint.MaxValue;

    public void AddMaking(FileEntry entry, int number, bool closeOnExec, SyscallBatch batch) => batch.Add(
        "eventfd2", SyscallNumber.eventfd2, (long)entry.Efd.Counter, ((int)entry.Efd.Flags & AtCreation) | (closeOnExec ? Fcntl.O_CLOEXEC : 0));
}
