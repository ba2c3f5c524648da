using System.Globalization;
using CriuPS.Engine.Compel;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects.Files;
using CriuPS.Engine.Proc;
using Google.Protobuf;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Uring;

/// <summary>
/// Rings of io_uring(7) without requests on their way (struct io_ring_ctx). BPF tells how they were made and how far they are (<see cref="KernelRings"/>), fdinfo the
/// registered buffers; the rings themselves are memory that whoever has the descriptor can map. The process makes new ones at the same place
/// (<see cref="RingRestore"/>).
/// </summary>
internal sealed class RingFile : IFileKind
{
    private const uint NotKept = IoUring.IORING_SETUP_NO_MMAP;

    public FdTypes Type => FdTypes.Ext;

    public bool Recognizes(OpenFile file) => Is(file);

    public static bool Is(OpenFile file) => file.Link.Bytes.SequenceEqual("anon_inode:[io_uring]"u8);

    public (string Reason, string Remedy)? Objection(OpenFile file, TreeFiles tree)
    {
        const string Remedy = "let the program close its rings before the dump";
        try
        {
            RingState state = tree.RingOf(file);
            string? reason = (state.Flags & NotKept) != 0 ? "its rings are memory of the program's own (IORING_SETUP_NO_MMAP)"
                : state.Unknown is { } unknown ? $"it has {unknown}"
                : state.EventFd == -1 || state.Files.Contains(-2) ? "it has a registered file that is open in no descriptor of the process"
                : Maker(file, tree) is null ? "it was made by a process that does not have it any more"
                : file.Info!.OtherLines.Any(line => line.StartsWith("  user_data="u8)) ? "completions wait outside of its ring, which is full"
                : null;
            return reason is null ? null : ($"it is an io_uring that cannot be kept: {reason}", Remedy);
        }
        catch (CriuException e) when (e.Id == "KernelDoesNotTell")
        {
            return (e.Message, e.Remedy!);
        }
    }

    public FileEntry Save(OpenFile file, HeldFile held, uint id, FileImages images)
    {
        OpenFile maker = Maker(file, images.Tree)!;

        // Since the look at the process requests may have been completed.
        RingState state = KernelRings.Of(maker.Pid, [maker.Fd])[maker.Fd];
        CriupsIoUringEntry saved = new()
        {
            Flags = state.Flags, SqEntries = state.SqEntries, CqEntries = state.CqEntries, SqHead = state.SqHead, CqTail = state.CqTail,
            Rings = Bytes(held.Handle, IoUring.IORING_OFF_SQ_RING, state.RingsLength), Requests = Bytes(held.Handle, IoUring.IORING_OFF_SQES, state.RequestsLength),
            Pid = (uint)maker.Pid, Tid = (uint)(state.Submitter == 0 ? maker.Pid : state.Submitter),
        };
        if ((state.Flags & IoUring.IORING_SETUP_SQPOLL) != 0)
        {
            (saved.SqThreadIdle, saved.SqThreadCpu) = (state.ThreadIdle, state.ThreadProcessor);
        }

        if (state.EventFd is { } events)
        {
            (saved.EventFd, saved.EventAsync) = (events, state.EventAsync);
        }

        saved.Files.AddRange(state.Files);
        saved.Buffers.AddRange(BuffersOf(maker));
        saved.Mappings.AddRange(images.Tree.Rings.Where(r => r.Mapping.Vma.Inode == file.Status.st_ino).Select(ToEntry));
        images.WriteOwn(new CriupsFileEntry { Id = id, Uring = saved });
        return new FileEntry { Type = Type, Id = id, Ext = new ExtFileEntry { Id = id, Fown = FileOwner.Save(file, images.Tree) } };
    }

    public void Validate(FileEntry entry, FileOpening opening)
    {
        CriupsIoUringEntry saved = opening.Own(entry.Id)!.Uring;
        bool whole = saved.SqEntries != 0 && uint.IsPow2(saved.SqEntries) && uint.IsPow2(saved.CqEntries) && saved.Rings.Length >= Kernel.Memory.PageSize
            && saved.Requests.Length >= saved.SqEntries * IoUring.RequestSize && saved.Mappings.All(m => m.Start < m.End && m.Start % Kernel.Memory.PageSize == 0);
        if (!whole || (saved.Flags & NotKept) != 0)
        {
            throw new Images.ImageException(Images.ImageException.MalformedEntry, "criups-files", 0, $"the rings of file {entry.Id} are none");
        }
    }

    // Until the process makes it: something that has no effect on anybody.
    public SafeFileHandle Open(FileEntry entry, FileOpening opening) => OpenAt.Open("/dev/null", Fcntl.O_RDWR);

    public bool MakeInside(FileEntry entry, FdinfoEntry descriptor, IReadOnlyDictionary<int, RemoteBatch> tasks, FileOpening opening)
    {
        CriupsIoUringEntry saved = opening.Own(entry.Id)!.Uring;
        if (!tasks.ContainsKey((int)saved.Pid))
        {
            return false;
        }

        RemoteBatch batch = tasks.GetValueOrDefault((int)saved.Tid) ?? tasks[(int)saved.Pid];
        new RingRestore(saved, (int)descriptor.Fd, batch).Run();
        return true;
    }

    private static OpenFile? Maker(OpenFile file, TreeFiles tree) => tree.OfSameFile(file).FirstOrDefault(f => tree.RingOf(f).IsOwn);

    private static ByteString Bytes(SafeFileHandle ring, long offset, int length)
    {
        using SharedMapping memory = new(ring, offset, length);
        return ByteString.CopyFrom(memory.Bytes);
    }

    private static CriupsRingMappingEntry ToEntry((int Pid, Memory.Mapping Mapping) ring)
    {
        VmaEntry area = ring.Mapping.ToEntry();
        return new CriupsRingMappingEntry
        {
            Pid = (uint)ring.Pid, Start = area.Start, End = area.End, Offset = ring.Mapping.Vma.Offset, Protection = area.Prot, Flags = (uint)area.Madv,
        };
    }

    // io_uring/fdinfo.c: "UserBufs:", and a line "NUMBER: ADDRESS/LENGTH" or "NUMBER: <none>" for each.
    private static IEnumerable<CriupsRangeEntry> BuffersOf(OpenFile file)
    {
        bool within = false;
        foreach (OsText line in file.Info!.OtherLines)
        {
            string text = line.ToDisplayString().Trim();
            if (!char.IsAsciiDigit(text.FirstOrDefault()))
            {
                within = text.StartsWith("UserBufs:", StringComparison.Ordinal);
                continue;
            }

            if (within)
            {
                string value = text[(text.IndexOf(':') + 1)..].Trim();
                int slash = value.IndexOf('/');
                yield return slash < 0 ? new CriupsRangeEntry { Start = 0, Length = 0 } : new CriupsRangeEntry
                {
                    Start = ulong.Parse(value.AsSpan(2, slash - 2), NumberStyles.HexNumber, CultureInfo.InvariantCulture),
                    Length = ulong.Parse(value.AsSpan(slash + 1), CultureInfo.InvariantCulture),
                };
            }
        }
    }
}
