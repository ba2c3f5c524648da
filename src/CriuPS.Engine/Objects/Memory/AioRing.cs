using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using CriuPS.Engine.Compel;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Objects.Memory;

/// <summary>
/// A context of io_setup(2) (struct kioctx, fs/aio.c). Its number is the address of its ring, which is a mapping of the process; what the kernel keeps beside
/// that, how many requests were asked for and which of them wait, a BPF program tells. io_setup makes a new ring wherever there is room. The end of the ring
/// is also the kernel's own count and moves only with completions, so requests that do nothing go through it; then mremap(2) brings it to its place,
/// which renames the context (since Linux 3.18).
/// </summary>
internal static class AioRing
{
    private const int HeaderSize = 32, MostAtOnce = 64, Patience = 1000;

    private static ReadOnlySpan<byte> Name => "/[aio]"u8;

    /// <summary>What the kernel keeps of a context.</summary>
    /// <param name="Requests">How many requests it was made for.</param>
    /// <param name="IsWaiting">Whether requests wait in it that could be cancelled, as those of IOCB_CMD_POLL.</param>
    private readonly record struct Context(uint Requests, bool IsWaiting);

    /// <summary>Whether a mapping is a ring.</summary>
    public static bool Is(Vma vma) => vma.Path.StartsWith(Name);

    /// <summary>Whether the mapping of an image is a ring.</summary>
    public static bool Is(VmaEntry entry) => ((VmaStatus)entry.Status & VmaStatus.AioRing) != 0;

    /// <summary>Why a ring cannot be dumped and what would help; null where it can.</summary>
    public static (string Reason, string Remedy)? Objection(int pid, Vma vma)
    {
        const string Remedy = "let the program wait for its requests, or end the context (io_destroy)";
        Aio.aio_ring ring = default;
        if (!ProcessVm.TryRead(pid, vma.Start, MemoryMarshal.AsBytes(new Span<Aio.aio_ring>(ref ring))) || !IsSound(ring, vma.End - vma.Start))
        {
            return ("it is a ring of io_setup whose header is not whole", Remedy);
        }

        try
        {
            return Find(pid, vma.Start, ring.id) is not { } context ? ("it is a ring of io_setup that belongs to another process", "let the program unmap it")
                : context.IsWaiting ? ("requests wait in this context of io_setup", Remedy)
                : null;
        }
        catch (CriuException e) when (BpfRow.IsUntold(e))
        {
            return ($"whether requests wait in this context of io_setup the kernel does not tell: {e.Message}", "CAP_BPF, CAP_PERFMON and a kernel with BTF are needed");
        }
    }

    /// <summary>A ring as images keep it.</summary>
    public static AioRingEntry Save(int pid, Vma vma)
    {
        Aio.aio_ring ring = default;
        ProcessVm.Read(pid, vma.Start, MemoryMarshal.AsBytes(new Span<Aio.aio_ring>(ref ring)));
        return new AioRingEntry { Id = vma.Start, NrReq = Find(pid, vma.Start, ring.id)!.Value.Requests, RingLen = (uint)(vma.End - vma.Start) };
    }

    /// <summary>Makes a context; what was in the ring is in other memory at its place.</summary>
    /// <param name="batch">The process.</param>
    /// <param name="saved">The ring.</param>
    /// <param name="sink">A descriptor of /dev/null in the process.</param>
    public static void Restore(RemoteBatch batch, AioRingEntry saved, RemoteDescriptor sink)
    {
        batch.Run();
        byte[] content = new byte[saved.RingLen];
        ProcessVm.Read(batch.Task.Pid, saved.Id, content);
        Aio.aio_ring ring = MemoryMarshal.Read<Aio.aio_ring>(content);
        ulong made = Make(batch, saved, ring);
        Advance(batch, made, ring, sink.Value);
        if (made != saved.Id)
        {
            batch.Add("mremap of a ring of io_setup", SyscallNumber.mremap, made, saved.RingLen, saved.RingLen, Kernel.Memory.MREMAP_MAYMOVE | Kernel.Memory.MREMAP_FIXED,
                saved.Id);
            batch.Run();
        }

        // The header is the new one: the number in it is the context's place in a table of the kernel's.
        ProcessVm.Write(batch.Task.Pid, saved.Id + HeaderSize, content.AsSpan(HeaderSize));
    }

    private static ulong Make(RemoteBatch batch, AioRingEntry saved, Aio.aio_ring ring)
    {
        SyscallProgram program = batch.Room(1, sizeof(ulong));
        ulong place = program.Put(0UL);
        program.Add($"io_setup of {saved.NrReq} requests", SyscallNumber.io_setup, saved.NrReq, place);
        batch.RunAndLoad();
        ulong made = program.Read<ulong>(place);
        program.Clear();
        Aio.aio_ring header = default;
        ProcessVm.Read(batch.Task.Pid, made, MemoryMarshal.AsBytes(new Span<Aio.aio_ring>(ref header)));
        if (!IsSound(ring, saved.RingLen) || header.nr != ring.nr)
        {
            throw new CriuException("RingDiffers", CriuErrorKind.NotSupported, $"the kernel made a ring of {header.nr} events instead of {ring.nr} for io_setup")
            {
                Pid = batch.Task.Pid, Subject = $"ring {saved.Id:x}", Remedy = "restore on a machine with as many processors",
            };
        }

        return made;
    }

    // First as many completions as have been read, which are taken out again, then those that stay.
    private static void Advance(RemoteBatch batch, ulong context, Aio.aio_ring ring, int sink)
    {
        uint step = Math.Clamp((ring.nr - 1) / 4, 1, MostAtOnce);
        for (uint left = ring.head; left > 0;)
        {
            left -= Complete(batch, context, Math.Min(left, step), sink, taken: true);
        }

        int tries = 0;
        for (uint left = (ring.tail + ring.nr - ring.head) % ring.nr; left > 0;)
        {
            // Each processor keeps some free requests for itself: another try may come to another one.
            uint done = Complete(batch, context, Math.Min(left, MostAtOnce), sink, taken: false);
            left -= done;
            tries = done > 0 ? 0 : tries + 1;
            if (tries == Patience)
            {
                throw new KernelException("io_submit", Errno.EAGAIN) { Pid = batch.Task.Pid, Remedy = "let the program read completions before the dump" };
            }
        }
    }

    // One program: requests that write a byte to /dev/null are complete at once.
    private static uint Complete(RemoteBatch batch, ulong context, uint count, int sink, bool taken)
    {
        SyscallProgram program = batch.Room(2, Unsafe.SizeOf<Aio.iocb>() + MostAtOnce * (sizeof(ulong) + Aio.EventSize) + 64);
        ulong events = program.Reserve(MostAtOnce * Aio.EventSize);
        ulong request = program.Put(new Aio.iocb { aio_lio_opcode = Aio.IOCB_CMD_PWRITE, aio_fildes = (uint)sink, aio_buf = events, aio_nbytes = 1 });
        ulong[] requests = new ulong[count];
        Array.Fill(requests, request);
        ulong list = program.Put(MemoryMarshal.AsBytes(requests.AsSpan()));
        Operation submit = program.Try("io_submit", SyscallNumber.io_submit, context, count, list);
        Operation? take = taken ? program.Add("io_getevents", SyscallNumber.io_getevents, context, 0, count, events, 0) : null;
        batch.RunAndLoad();
        long done = program.Result(submit), read = take is { } reading ? program.Result(reading) : done;
        program.Clear();
        if (done < 0 && done != -Errno.EAGAIN || (taken && (done <= 0 || read != done)))
        {
            throw new KernelException("io_submit", done < 0 ? (int)-done : Errno.EIO) { Pid = batch.Task.Pid };
        }

        return (uint)Math.Max(done, 0);
    }

    private static bool IsSound(Aio.aio_ring ring, ulong length) =>
        ring.magic == Aio.AIO_RING_MAGIC && ring.header_length == HeaderSize && ring.nr == (length - HeaderSize) / Aio.EventSize && ring.head < ring.nr && ring.tail < ring.nr;

    // A child is born with the mapping of its parent's ring, but with no context.
    private static Context? Find(int pid, ulong address, uint index)
    {
        KernelTypes types = KernelTypes.Running;
        BpfRow row = BpfRow.OfTasks(words: 7);
        int table = row.FromAddress(row.FromObject(types.OffsetOf("task_struct", "mm")), types.OffsetOf("mm_struct", "ioctx_table"));
        int context = row.FromAddress(table, types.OffsetOf("kioctx_table", "table") + (int)Math.Min(index, ushort.MaxValue) * sizeof(ulong));
        int user = row.FromAddress(context, types.OffsetOf("kioctx", "user_id")), requests = row.FromAddress(context, types.OffsetOf("kioctx", "max_reqs"));
        int active = types.OffsetOf("kioctx", "active_reqs"), next = row.FromAddress(context, active);
        return row.Run("bpf_iter_task", pid) is [var words, ..] && words[context] != 0 && words[user] == address
            ? new Context((uint)words[requests], words[next] != words[context] + (ulong)active)
            : null;
    }
}
