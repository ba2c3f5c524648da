using CriuPS.Engine.Errors;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// An open named pipe (fifo(7)). What is in it lives as long as somebody has it open, and is saved as that of other pipes; its name belongs to the file
/// system. For the restore we open it for both directions first, so that nobody waits for another and nothing is lost, and fill it.
/// </summary>
internal sealed class NamedPipe : IFileKind
{
    private readonly RegularFile _named = new();

    public FdTypes Type => FdTypes.Fifo;

    public bool Recognizes(OpenFile file) =>
        file.Kind == FileStatus.S_IFIFO && (file.FileFlags & Fcntl.O_PATH) == 0 && file.Link.StartsWith("/"u8);

    public (string Reason, string Remedy)? Objection(OpenFile file, TreeFiles tree) => _named.Objection(file, tree);

    public FileEntry Save(OpenFile file, HeldFile held, uint id, FileImages images)
    {
        uint pipe = (uint)file.Status.st_ino;
        if (images.IsNewPipe(file.Status.st_ino))
        {
            PipeFile.SaveContent(file, held.Handle, pipe, images, named: true);
        }

        uint name = images.NextId();
        FileEntry named = RegularFile.Save(file, name, images);
        named.Reg.Fown = FileOwner.Save(file, images.Tree);
        images.Write(named);
        return new FileEntry { Type = Type, Id = id, Fifo = new FifoEntry { Id = id, PipeId = pipe, RegfId = name } };
    }

    public void Validate(FileEntry entry, FileOpening opening)
    {
        FileEntry named = Named(entry, opening);
        _named.Validate(named, opening);
        if ((named.Reg.Mode & FileStatus.S_IFMT) is not (0 or FileStatus.S_IFIFO))
        {
            throw new CriuException("FileChanged", CriuErrorKind.InvalidData, "the file that gives it its name is no named pipe");
        }
    }

    public SafeFileHandle Open(FileEntry entry, FileOpening opening)
    {
        RegFileEntry named = Named(entry, opening).Reg;
        opening.Pipe(entry.Fifo.PipeId, () => Hold(named, entry.Fifo.PipeId, opening));
        return RegularFile.Open(named, (int)named.Flags, opening);
    }

    private static FileEntry Named(FileEntry entry, FileOpening opening) => opening.File(entry.Fifo.RegfId);

    private static (SafeFileHandle Read, SafeFileHandle Write) Hold(RegFileEntry named, uint id, FileOpening opening)
    {
        SafeFileHandle both = RegularFile.Open(named, Fcntl.O_RDWR | Fcntl.O_NONBLOCK, opening);
        PipeFile.RestoreContent(both, opening.NamedPipeData(id), id, opening);
        return (both, Fcntl.Duplicate(both));
    }
}
