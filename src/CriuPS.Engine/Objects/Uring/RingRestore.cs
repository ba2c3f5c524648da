using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using CriuPS.Engine.Compel;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Uring;

/// <summary>
/// Makes rings again in the process that had them. Positions in rings are counters, and the kernel's own copies of them begin at 0 and move only when requests are
/// taken and completions written: so requests that do nothing go through the new rings until both counters are where they were. After that
/// the rings get the content that they had, and what was registered is registered again.
/// </summary>
/// <param name="saved">The rings.</param>
/// <param name="fd">Their descriptor in the process.</param>
/// <param name="batch">The system calls of the thread that uses them.</param>
internal sealed class RingRestore(CriupsIoUringEntry saved, int fd, RemoteBatch batch)
{
    private const uint HasOwnThread = IoUring.IORING_SETUP_SQPOLL, RequestIsLong = IoUring.IORING_SETUP_SQE128;

    private IoUring.io_uring_params _params;

    /// <summary>Makes them.</summary>
    public void Run()
    {
        Make();
        using SafeFileHandle process = PidFd.Open(batch.Task.Pid);
        using SafeFileHandle ring = PidFd.GetFd(process, fd);
        using (SharedMapping rings = new(ring, IoUring.IORING_OFF_SQ_RING, saved.Rings.Length))
        using (SharedMapping requests = new(ring, IoUring.IORING_OFF_SQES, saved.Requests.Length))
        {
            Count(ring, rings, requests);
            uint flags = rings.Read(_params.sq_off.flags);
            saved.Rings.Span.CopyTo(rings.Bytes);
            saved.Requests.Span.CopyTo(requests.Bytes);

            // These are the kernel's, and tell of now.
            rings.Write(_params.sq_off.flags, flags);
        }

        MapAll();
        Register();
    }

    private void Make()
    {
        // Which threads of the kernel are shared with other rings makes no difference to a program.
        IoUring.io_uring_params wanted = new()
        {
            flags = saved.Flags & ~IoUring.IORING_SETUP_ATTACH_WQ, cq_entries = saved.CqEntries, sq_thread_cpu = (uint)Math.Max(saved.SqThreadCpu, 0),
            sq_thread_idle = saved.SqThreadIdle,
        };
        batch.Run();
        SyscallProgram program = batch.Room(4, 2 * Unsafe.SizeOf<IoUring.io_uring_params>());
        ulong place = program.Put(wanted);
        Operation made = program.Add("io_uring_setup", SyscallNumber.io_uring_setup, (long)saved.SqEntries, place);
        program.AddMove(made, fd, closeOnExec: true);
        batch.RunAndLoad();
        _params = program.Read<IoUring.io_uring_params>(place);
        program.Clear();
        if (_params.sq_entries != saved.SqEntries || _params.cq_entries != saved.CqEntries)
        {
            throw new CriuException("RingDiffers", CriuErrorKind.NotSupported, $"the kernel made rings of {_params.sq_entries} and {_params.cq_entries} entries")
            {
                Pid = batch.Task.Pid, Subject = $"fd {fd}", Remedy = "restore on the kernel of the dump",
            };
        }
    }

    // Requests without completion, with one, and with many: the counters are independent of each other, and both are modulo 2^32.
    private void Count(SafeFileHandle ring, SharedMapping rings, SharedMapping requests)
    {
        uint both = saved.SqHead, more = unchecked(saved.CqTail - saved.SqHead);
        bool completionsAhead = (int)more > 0;
        requests.Bytes.Clear();
        if ((saved.Flags & IoUring.IORING_SETUP_NO_SQARRAY) == 0)
        {
            for (uint i = 0; i < saved.SqEntries; i++)
            {
                rings.Write(_params.sq_off.array + i * sizeof(uint), i);
            }
        }

        if (!completionsAhead)
        {
            Submit(ring, rings, unchecked(saved.SqHead - saved.CqTail), () => Fill(requests, r => r[1] = IoUring.IOSQE_CQE_SKIP_SUCCESS));
            Submit(ring, rings, saved.CqTail, () => Fill(requests, _ => { }));
            return;
        }

        uint timers = 0;
        for (uint left = more; left > 0; timers++)
        {
            left -= Math.Min(left, saved.CqEntries - 1);
        }

        if (timers > both)
        {
            throw new CriuException("RingDiffers", CriuErrorKind.NotSupported, $"fd {fd} had {more} completions more than requests, which cannot be made again");
        }

        for (uint left = more; left > 0; both--)
        {
            uint count = Math.Min(left, saved.CqEntries - 1);
            SubmitTimer(ring, rings, requests, count + 1);
            left -= count;
        }

        Submit(ring, rings, both, () => Fill(requests, _ => { }));
    }

    private void Fill(SharedMapping requests, Action<byte[]> set)
    {
        int size = IoUring.RequestSize << ((saved.Flags & RequestIsLong) != 0 ? 1 : 0);
        byte[] request = new byte[size];
        set(request);
        for (int i = 0; i < saved.SqEntries; i++)
        {
            request.CopyTo(requests.Bytes.Slice(i * size, size));
        }
    }

    private void Submit(SafeFileHandle ring, SharedMapping rings, uint count, Action fill)
    {
        if (count == 0)
        {
            return;
        }

        fill();
        for (uint left = count; left > 0;)
        {
            uint part = Math.Min(left, Math.Min(saved.SqEntries, saved.CqEntries)), rounds = Math.Max(1, Math.Min(saved.CqEntries / saved.SqEntries, left / part));
            if ((saved.Flags & HasOwnThread) != 0)
            {
                rounds = 1;
            }

            uint tail = unchecked(rings.Read(_params.sq_off.tail) + part * rounds);
            rings.Write(_params.sq_off.tail, tail);
            Enter(ring, rings, tail, part, rounds, 0);
            rings.Write(_params.cq_off.head, rings.Read(_params.cq_off.tail));
            left -= part * rounds;
        }
    }

    // A timer that goes off so many times is one request with as many completions (IORING_TIMEOUT_MULTISHOT, since Linux 6.4).
    private void SubmitTimer(SafeFileHandle ring, SharedMapping rings, SharedMapping requests, uint count)
    {
        const int AddressOffset = 16, LengthOffset = 24, FlagsOffset = 28;
        SyscallProgram program = batch.Room(2, 16);
        ulong time = program.Put(new Kernel.timespec { tv_nsec = 1000 });
        Fill(requests, request =>
        {
            request[0] = IoUring.IORING_OP_TIMEOUT;
            BinaryPrimitives.WriteUInt64LittleEndian(request.AsSpan(8), count);
            BinaryPrimitives.WriteUInt64LittleEndian(request.AsSpan(AddressOffset), time);
            BinaryPrimitives.WriteUInt32LittleEndian(request.AsSpan(LengthOffset), 1);
            BinaryPrimitives.WriteUInt32LittleEndian(request.AsSpan(FlagsOffset), IoUring.IORING_TIMEOUT_MULTISHOT);
        });
        uint tail = unchecked(rings.Read(_params.sq_off.tail) + 1);
        rings.Write(_params.sq_off.tail, tail);
        Enter(ring, rings, tail, 1, 1, count);
        rings.Write(_params.cq_off.head, rings.Read(_params.cq_off.tail));
    }

    private void Enter(SafeFileHandle ring, SharedMapping rings, uint tail, uint part, uint rounds, uint wait)
    {
        if ((saved.Flags & HasOwnThread) != 0)
        {
            AwaitThread(ring, rings, tail);
            return;
        }

        SyscallProgram program = batch.Room((int)rounds);
        for (uint i = 0; i < rounds; i++)
        {
            program.Add(
                $"io_uring_enter of fd {fd}", SyscallNumber.io_uring_enter, fd, (long)part, (long)wait, IoUring.IORING_ENTER_GETEVENTS, 0, 0);
        }

        batch.Run();
        if (rings.Read(_params.sq_off.head) != tail)
        {
            throw new CriuException("RingDiffers", CriuErrorKind.NotSupported, $"the kernel did not take the requests that move the rings of fd {fd}");
        }
    }

    // The kernel's own thread takes the requests.
    private void AwaitThread(SafeFileHandle ring, SharedMapping rings, uint tail)
    {
        for (int tries = 0; rings.Read(_params.sq_off.head) != tail; tries++)
        {
            long result = Syscall.Invoke(
                SyscallNumber.io_uring_enter, ring.DangerousGetHandle(), 0, 0, IoUring.IORING_ENTER_SQ_WAKEUP, 0, 0);
            Syscall.Check(result, "io_uring_enter(IORING_ENTER_SQ_WAKEUP)");
            if (tries > 100)
            {
                Thread.Sleep(1);
            }
        }
    }

    private void MapAll()
    {
        foreach (CriupsRingMappingEntry area in saved.Mappings.Where(m => (int)m.Pid == batch.Task.Pid))
        {
            Map(area);
            for (int advice = 0; advice < 32; advice++)
            {
                if ((area.Flags & (1u << advice)) != 0)
                {
                    batch.Add($"madvise({advice}) of rings of fd {fd}", SyscallNumber.madvise, area.Start, area.End - area.Start, advice);
                }
            }
        }

        batch.Run();
    }

    // The kernel takes no address for a ring (io_uring/memmap.c, io_uring_get_unmapped_area) and chooses one. So for a moment everything else is filled: then
    // there is one place only.
    private void Map(CriupsRingMappingEntry area)
    {
        const int Filled = Kernel.Memory.MAP_PRIVATE | Kernel.Memory.MAP_ANONYMOUS | Kernel.Memory.MAP_NORESERVE | Kernel.Memory.MAP_FIXED_NOREPLACE;
        ulong length = area.End - area.Start;
        List<(ulong Start, ulong End)> gaps = GapsBeside(area);
        foreach ((ulong start, ulong end) in gaps)
        {
            batch.Add($"mmap beside rings of fd {fd}", SyscallNumber.mmap, start, end - start, Kernel.Memory.PROT_NONE, Filled, -1, 0);
        }

        batch.Run();
        SyscallProgram program = batch.Room(1);
        Operation mapped = program.Add(
            $"mmap of rings of fd {fd}", SyscallNumber.mmap, 0, length, (long)area.Protection, Kernel.Memory.MAP_SHARED, fd, area.Offset);
        batch.RunAndLoad();
        ulong at = (ulong)program.Result(mapped);
        program.Clear();
        foreach ((ulong start, ulong end) in gaps)
        {
            batch.Add($"munmap beside rings of fd {fd}", SyscallNumber.munmap, start, end - start);
        }

        batch.Run();
        if (at != area.Start)
        {
            throw new CriuException("RingDiffers", CriuErrorKind.NotSupported, $"the kernel put rings of fd {fd} to {at:x}, not to {area.Start:x}")
            {
                Pid = batch.Task.Pid,
            };
        }
    }

    private List<(ulong Start, ulong End)> GapsBeside(CriupsRingMappingEntry area)
    {
        // vm.mmap_min_addr is no more than this where it has its usual value.
        const ulong Lowest = 0x10000;
        using ProcDirectory proc = new(batch.Task.Pid);
        IEnumerable<(ulong Start, ulong End)> used = ProcMaps.Read(proc).Select(v => (v.Start, v.End)).Append((area.Start, area.End)).OrderBy(r => r.Start);
        List<(ulong Start, ulong End)> gaps = [];
        ulong at = Lowest, limit = batch.Task.Architecture.TaskSize;
        foreach ((ulong start, ulong end) in used.Where(r => r.Start < limit))
        {
            if (start > at)
            {
                gaps.Add((at, start));
            }

            at = Math.Max(at, end);
        }

        if (at < limit)
        {
            gaps.Add((at, limit));
        }

        return gaps;
    }

    private void Register()
    {
        if (saved.HasEventFd)
        {
            SyscallProgram program = batch.Room(1, 16);
            int how = saved.EventAsync ? IoUring.IORING_REGISTER_EVENTFD_ASYNC : IoUring.IORING_REGISTER_EVENTFD;
            program.Add("io_uring_register of an eventfd", SyscallNumber.io_uring_register, fd, how, program.Put(saved.EventFd), 1);
        }

        if (saved.Files.Count > 0)
        {
            RegisterAll(IoUring.IORING_REGISTER_FILES2, MemoryMarshal.AsBytes<int>(saved.Files.ToArray()).ToArray(), (uint)saved.Files.Count, "files");
        }

        if (saved.Buffers.Count > 0)
        {
            ulong[] buffers = [.. saved.Buffers.SelectMany(b => new[] { b.Start, b.Length })];
            RegisterAll(IoUring.IORING_REGISTER_BUFFERS2, MemoryMarshal.AsBytes<ulong>(buffers).ToArray(), (uint)saved.Buffers.Count, "buffers");
        }

        batch.Run();
    }

    private void RegisterAll(int how, byte[] values, uint count, string what)
    {
        int size = Unsafe.SizeOf<IoUring.io_uring_rsrc_register>();
        SyscallProgram program = batch.Room(1, values.Length + 2 * size);
        ulong argument = program.Put(new IoUring.io_uring_rsrc_register { nr = count, data = program.Put(values) });
        program.Add($"io_uring_register of {what}", SyscallNumber.io_uring_register, fd, how, argument, size);
    }
}
