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
        if (tree.HasBothEnds(file))
        {
            return null;
        }

        return !tree.PipesMayEndOutside && HasPeer(file)
            ? ("it is a pipe whose other end belongs to another process", "redirect it to a file or to /dev/null, or dump both processes together")
            : null;
    }

    /// <summary>Whether it is a pipe whose other end belongs to a process outside of the tree.</summary>
    public static bool EndsOutside(OpenFile file, TreeFiles tree) =>
        file.Kind == FileStatus.S_IFIFO && file.Link.StartsWith("pipe:["u8) && !tree.HasBothEnds(file) && HasPeer(file);

    public FileEntry Save(OpenFile file, HeldFile held, uint id, FileImages images)
    {
        uint pipe = (uint)file.Status.st_ino;
        if (images.IsNewPipe(file.Status.st_ino))
        {
            if (file.EmptyPipeSize is { } size)
            {
                images.WritePipeData(new PipeDataEntry { PipeId = pipe, Bytes = 0, Size = (uint)size }, [], named: false);
            }
            else
            {
                SaveContent(file, held.Handle, pipe, images, named: false);
            }

            if (EndsOutside(file, images.Tree))
            {
                images.WritePackets(new CriupsPipeEntry { PipeId = pipe, EndsOutside = true });
            }
        }

        return new FileEntry
        {
            Type = Type, Id = id,
            Pipe = new PipeEntry { Id = id, PipeId = pipe, Flags = (uint)file.FileFlags, Fown = FileOwner.Save(file, images.Tree) },
        };
    }

    public void Validate(FileEntry entry, FileOpening opening)
    {
        if (opening.EndsOutside(entry.Pipe.PipeId) && !opening.MayBeCut(entry.Pipe.PipeId))
        {
            string name = $"pipe:[{entry.Pipe.PipeId}]";
            throw new CriuException("ExternalFileMissing", CriuErrorKind.NotFound, $"it was {name}, whose other end belonged to a process outside of the tree")
            {
                Subject = name, Remedy = $"use -InheritFd fd[N]:{name} with the number of a descriptor of yours",
            };
        }
    }

    public SafeFileHandle Open(FileEntry entry, FileOpening opening)
    {
        SafeFileHandle end = OpenEnd(entry.Pipe, opening);
        opening.EndIsOpen(entry.Pipe.PipeId);
        return end;
    }

    private static SafeFileHandle OpenEnd(PipeEntry saved, FileOpening opening)
    {
        (SafeFileHandle read, SafeFileHandle write) = opening.Pipe(saved.PipeId, () => Make(saved.PipeId, opening));
        int mode = (int)saved.Flags & Fcntl.O_ACCMODE;
        if (PipePair.IsOwnEnd(saved) && opening.TakeEnd(saved.PipeId, mode))
        {
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
        RestoreContent(write, opening.PipeData(id), id, opening);
        return (read, write);
    }

    /// <summary>Gives a new pipe its size and what was in it.</summary>
    internal static void RestoreContent(
        SafeFileHandle write, IEnumerable<(PipeDataEntry Entry, byte[] Content)> data, uint id, FileOpening opening)
    {
        foreach ((PipeDataEntry entry, byte[] content) in data)
        {
            if (entry.HasSize && Fcntl.Control(write, Fcntl.F_GETPIPE_SZ) != (int)entry.Size)
            {
                Fcntl.Control(write, Fcntl.F_SETPIPE_SZ, entry.Size);
            }

            if (opening.Packets(id) is { } packets)
            {
                FillPackets(write, content, packets, id);
            }
            else
            {
                Fill(write, content, id);
            }
        }
    }

    private static void Fill(SafeFileHandle write, ReadOnlySpan<byte> content, uint id)
    {
        while (!content.IsEmpty)
        {
            long written = Syscall.Check(Fcntl.Write(write, content), () => $"write of the content of pipe {id}");
            content = content[(int)written..];
        }
    }

    private static void FillPackets(SafeFileHandle write, byte[] content, IReadOnlyList<uint> packets, uint id)
    {
        if (packets.Sum(length => (long)length) != content.Length)
        {
            throw new Images.ImageException(Images.ImageException.MalformedEntry, "criups-pipes", 0, $"the packets of pipe {id} are not its content");
        }

        Fcntl.Control(write, Fcntl.F_SETFL, Fcntl.O_NONBLOCK | Fcntl.O_DIRECT);
        int done = 0;
        foreach (uint length in packets)
        {
            Fill(write, content.AsSpan(done, (int)length), id);
            done += (int)length;
        }
    }

    /// <summary>Saves what is in a pipe, which it stays in.</summary>
    internal static void SaveContent(OpenFile file, SafeFileHandle handle, uint id, FileImages images, bool named)
    {
        int size = Fcntl.Control(handle, Fcntl.F_GETPIPE_SZ);
        List<uint> lengths = [];
        byte[] content = Read(file, handle, size, lengths);
        images.WritePipeData(new PipeDataEntry { PipeId = id, Bytes = (uint)content.Length, Size = (uint)size }, content, named);
        if (HoldsPackets(file, handle, size, lengths))
        {
            CriupsPipeEntry entry = new() { PipeId = id };
            entry.Packets.AddRange(lengths);
            images.WritePackets(entry);
        }
    }

    // A read ends where a packet ends (O_DIRECT, pipe(2)): the lengths that the reads give are those of the packets, if there are any.
    private static byte[] Read(OpenFile file, SafeFileHandle handle, int size, List<uint> lengths)
    {
        if ((file.FileFlags & Fcntl.O_PATH) == 0 && Fcntl.Readable(handle) == 0)
        {
            return [];
        }

        using SafeFileHandle? copy = Copy(file, handle, size);
        byte[] content = new byte[copy is null ? 0 : Fcntl.Readable(copy)];
        for (int done = 0; done < content.Length; done += (int)lengths[^1])
        {
            lengths.Add((uint)Syscall.Check(FileRead.Read(copy!, content.AsSpan(done)), "read of a pipe's copy"));
        }

        return content;
    }

    // Reading one byte of a packet takes all of it away, and of a stream just that byte. Packets of one byte look like a stream, and when
    // nothing else is there they are taken for one.
    private static bool HoldsPackets(OpenFile file, SafeFileHandle handle, int size, List<uint> lengths)
    {
        if (lengths is [] or [1])
        {
            return false;
        }

        using SafeFileHandle copy = Copy(file, handle, size)!;
        List<uint> taken = [];
        Span<byte> one = stackalloc byte[1];
        for (int left = Fcntl.Readable(copy); taken.Count < lengths.Count; left -= (int)taken[^1])
        {
            Syscall.Check(FileRead.Read(copy, one), "read of a pipe's copy");
            taken.Add((uint)(left - Fcntl.Readable(copy)));
        }

        if (taken.SequenceEqual(lengths))
        {
            return true;
        }

        return lengths.Count == 1 && taken[0] == 1
            ? false
            : throw new RefusedException([new Refusal(
                file.Pid, "", file.ToString(), "it holds packets (O_DIRECT) and other bytes at once", "let the program read them first")]);
    }

    // tee, which does not wait where one of both pipes does not, needs a reading end. Null for an empty pipe.
    private static SafeFileHandle? Copy(OpenFile file, SafeFileHandle handle, int size)
    {
        bool reads = (file.FileFlags & Fcntl.O_PATH) == 0 && (file.FileFlags & Fcntl.O_ACCMODE) != Fcntl.O_WRONLY;
        using SafeFileHandle? reader = reads ? null : OpenReader(file, handle);
        (SafeFileHandle read, SafeFileHandle write) = Fcntl.Pipe(Fcntl.O_NONBLOCK);
        using (write)
        {
            Fcntl.Control(write, Fcntl.F_SETPIPE_SZ, Math.Max(size, Kernel.Memory.PageSize));
            long copied = Fcntl.Tee(reader ?? handle, write, LargestPipe, 0);
            if (copied == -Errno.EAGAIN)
            {
                read.Dispose();
                return null;
            }

            Syscall.Check(copied, () => $"tee of {file}");
            return read;
        }
    }

    // Whatever end we have, /proc gives another one of the same pipe.
    private static SafeFileHandle OpenReader(OpenFile file, SafeFileHandle handle) =>
        OpenAt.TryOpen(null, CString.From($"/proc/self/fd/{handle.DangerousGetHandle()}"), Fcntl.O_RDONLY | Fcntl.O_NONBLOCK, out int errno)
            ?? throw new KernelException($"open of {file}", errno);

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
