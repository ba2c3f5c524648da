using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// An end of a pipe (pipe(7)). The kernel keeps a ring of buffers; tee(2) copies what is in them without taking it out, F_GETPIPE_SZ tells the size of the
/// ring. A new pipe gets the size and the content, and each end is opened again through /proc/self/fd with its own flags.
/// </summary>
internal sealed class PipeFile : IFileKind
{
    private const int LargestPipe = 1 << 30;

    public FdTypes Type => FdTypes.Pipe;

    public bool Recognizes(OpenFile file) => file.Kind == FileStatus.S_IFIFO && file.Link.StartsWith("pipe:["u8);

    public (string Reason, string Remedy)? Objection(OpenFile file, TreeFiles tree)
    {
        bool Other(int mode) => tree.OfSameFile(file).Any(o => (o.FileFlags & Fcntl.O_ACCMODE) is int m && (m == mode || m == Fcntl.O_RDWR));
        if (Other(Fcntl.O_RDONLY) && Other(Fcntl.O_WRONLY))
        {
            return null;
        }

        return HasPeer(file)
            ? ("it is a pipe whose other end belongs to another process", "redirect it to a file or to /dev/null, or dump both processes together")
            : null;
    }

    public FileEntry Save(OpenFile file, SafeFileHandle handle, uint id, FileImages images)
    {
        uint pipe = (uint)file.Status.st_ino;
        if (images.IsNewPipe(file.Status.st_ino))
        {
            SaveContent(file, handle, pipe, images);
        }

        return new FileEntry
        {
            Type = Type, Id = id,
            Pipe = new PipeEntry { Id = id, PipeId = pipe, Flags = (uint)file.FileFlags, Fown = FileOwner.None() },
        };
    }

    public void Validate(FileEntry entry, FileOpening opening)
    {
    }

    public SafeFileHandle Open(FileEntry entry, FileOpening opening)
    {
        PipeEntry saved = entry.Pipe;
        (SafeFileHandle read, SafeFileHandle write) = opening.Pipe(saved.PipeId, () => Make(saved.PipeId, opening));
        int mode = (int)saved.Flags & Fcntl.O_ACCMODE;
        if (mode != Fcntl.O_RDWR && opening.TakeEnd(saved.PipeId, mode))
        {
            // open(2) marks files as large and pipe(2) does not: the first of each end is the pipe's own.
            SafeFileHandle end = mode == Fcntl.O_RDONLY ? read : write;
            Fcntl.Control(end, Fcntl.F_SETFL, (int)saved.Flags & (Fcntl.O_NONBLOCK | Fcntl.O_DIRECT | Fcntl.O_APPEND));
            return new SafeFileHandle(Fcntl.Control(end, Fcntl.F_DUPFD_CLOEXEC), ownsHandle: true);
        }

        string path = $"/proc/self/fd/{read.DangerousGetHandle()}";
        return OpenAt.TryOpen(null, CString.From(path), (int)saved.Flags & ~Fcntl.O_CLOEXEC, out int errno)
            ?? throw new KernelException($"open of an end of pipe {saved.PipeId}", errno);
    }

    private static (SafeFileHandle Read, SafeFileHandle Write) Make(uint id, FileOpening opening)
    {
        (SafeFileHandle read, SafeFileHandle write) = Fcntl.Pipe(Fcntl.O_NONBLOCK);
        foreach ((PipeDataEntry entry, byte[] content) in opening.PipeData(id))
        {
            if (entry.HasSize && Fcntl.Control(read, Fcntl.F_GETPIPE_SZ) != (int)entry.Size)
            {
                Fcntl.Control(write, Fcntl.F_SETPIPE_SZ, entry.Size);
            }

            Fill(write, content, id);
        }

        return (read, write);
    }

    private static void Fill(SafeFileHandle write, ReadOnlySpan<byte> content, uint id)
    {
        while (!content.IsEmpty)
        {
            long written = Syscall.Check(Fcntl.Write(write, content), () => $"write of the content of pipe {id}");
            content = content[(int)written..];
        }
    }

    private static void SaveContent(OpenFile file, SafeFileHandle handle, uint id, FileImages images)
    {
        int size = Fcntl.Control(handle, Fcntl.F_GETPIPE_SZ);
        byte[] content = Peek(file, handle, size);
        images.WritePipeData(new PipeDataEntry { PipeId = id, Bytes = (uint)content.Length, Size = (uint)size }, content);
    }

    // tee needs a reading end: whatever end we have, /proc gives another one of the same pipe.
    private static byte[] Peek(OpenFile file, SafeFileHandle handle, int size)
    {
        byte[] path = CString.From($"/proc/self/fd/{handle.DangerousGetHandle()}");
        using SafeFileHandle source = OpenAt.TryOpen(null, path, Fcntl.O_RDONLY | Fcntl.O_NONBLOCK, out int errno)
            ?? throw new KernelException($"open of {file}", errno);
        (SafeFileHandle read, SafeFileHandle write) = Fcntl.Pipe(Fcntl.O_NONBLOCK);
        using (read)
        using (write)
        {
            Fcntl.Control(write, Fcntl.F_SETPIPE_SZ, Math.Max(size, Kernel.Memory.PageSize));
            long copied = Fcntl.Tee(source, write, LargestPipe, 0);
            if (copied == -Errno.EAGAIN)
            {
                return [];
            }

            Syscall.Check(copied, () => $"tee of {file}");
            byte[] content = new byte[copied];
            for (int done = 0; done < content.Length;)
            {
                done += (int)Syscall.Check(FileRead.Read(read, content.AsSpan(done)), "read of a pipe's copy");
            }

            return content;
        }
    }

    // A reading end without writers hangs up, a writing end without readers is in error (poll(2)); asked through another open of the same pipe
    // that does not count: an O_PATH descriptor cannot be polled, so the very file is borrowed.
    private static bool HasPeer(OpenFile file)
    {
        using SafeFileHandle process = PidFd.Open(file.Pid);
        using SafeFileHandle end = PidFd.GetFd(process, file.Fd);
        short events = Poll.Wait(end, Poll.POLLIN, 0);
        bool reads = (file.FileFlags & Fcntl.O_ACCMODE) == Fcntl.O_RDONLY;
        return (events & (reads ? Poll.POLLHUP : Poll.POLLERR)) == 0;
    }
}
