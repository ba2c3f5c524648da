using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Objects.Uring;

/// <summary>
/// Asks the kernel of the rings of a process. fdinfo tells neither how they were made nor whether requests are on their way, so BPF programs read the very
/// structures: an iterator gives every open file of the process, another one its tasks, and BTF says where the members are. The names of members are those of
/// Linux 6.13 and later (struct io_ring_ctx); a kernel with others is refused.
/// </summary>
internal sealed class KernelRings
{
    private const int FileRow = 46, NodesAtOnce = 18, NodesInList = 50;

    /// <summary>The lowest bits of a registered file's address say something else (io_uring/filetable.h, FFS_MASK).</summary>
    private const ulong AddressMask = ~7UL;

    // Members that must be as in new rings, and what they are about.
    private static readonly (string Member, string What)[] s_foreign =
    [
        ("personalities.xa_head", "credentials (personalities)"), ("io_bl_xa.xa_head", "buffers that the kernel chooses from (provided buffers)"),
        ("zcrx_ctxs.xa_head", "queues of a network device"), ("param_region.nr_pages", "a memory region"), ("napi_busy_poll_dt", "busy polling of a network"),
    ];

    private readonly int _pid;
    private readonly KernelTypes _types;
    private bool _registersRings;

    private KernelRings(int pid, KernelTypes types) => (_pid, _types) = (pid, types);

    /// <summary>The rings of a process, by descriptor.</summary>
    /// <param name="pid">The process.</param>
    /// <param name="fds">Its descriptors of rings.</param>
    /// <exception cref="CriuException">The kernel does not tell.</exception>
    public static IReadOnlyDictionary<int, RingState> Of(int pid, IEnumerable<int> fds) => Ask(pid, rings => rings.Read([.. fds]));

    /// <summary>How many requests of rings are on their way.</summary>
    /// <param name="pid">A process.</param>
    /// <param name="fds">Its descriptors of rings.</param>
    public static long InFlight(int pid, IEnumerable<int> fds) => Ask(pid, rings => fds.Sum(rings.CountInFlight));

    private static T Ask<T>(int pid, Func<KernelRings, T> ask)
    {
        try
        {
            return ask(new KernelRings(pid, KernelTypes.Running));
        }
        catch (CriuException e) when (BpfRow.IsUntold(e))
        {
            throw new CriuException("KernelDoesNotTell", CriuErrorKind.NotSupported, $"the kernel does not tell of io_uring: {e.Message}", e)
            {
                Remedy = "CAP_BPF and CAP_PERFMON, and Linux 6.13 with CONFIG_DEBUG_INFO_BTF, are needed; or let the program close its rings",
            };
        }
    }

    private int At(string member) => _types.OffsetOf("io_ring_ctx", member.Split('.'));

    private bool Has(string member)
    {
        try
        {
            return At(member) >= 0;
        }
        catch (CriuException e) when (e.Id == KernelTypes.Unknown)
        {
            // What a kernel does not know cannot have been set.
            return false;
        }
    }

    private Dictionary<int, RingState> Read(HashSet<int> fds)
    {
        const int Fd = 0;
        BpfRow row = BpfRow.OfFiles(FileRow);
        int file = row.ObjectItself();
        int context = row.FromObject(_types.OffsetOf("file", "private_data"));
        Dictionary<string, int> words = [];
        foreach (string member in Members().Where(Has))
        {
            words[member] = row.FromAddress(context, At(member));
        }

        AddPointed(row, words);
        List<ulong[]> rows = row.RunOnFiles(_pid);
        Dictionary<ulong, int> byFile = [], byPrivate = [];
        foreach (ulong[] r in rows)
        {
            byFile.TryAdd(r[file], (int)r[Fd]);
            byPrivate.TryAdd(r[context], (int)r[Fd]);
        }

        ulong memory = OwnMemory();
        Dictionary<int, RingState> found = [];
        foreach (ulong[] r in rows.Where(r => fds.Contains((int)r[Fd])))
        {
            ulong Word(string member) => words.TryGetValue(member, out int at) ? r[at] : 0;
            found.Add((int)r[Fd], State((int)r[Fd], Word, memory, byFile, byPrivate));
        }

        return found;
    }

    private static IEnumerable<string> Members() =>
    [
        "flags", "sq_entries", "cq_entries", "cached_sq_head", "cached_cq_tail", "ring_region.nr_pages", "sq_region.nr_pages", "sq_thread_idle", "sq_data",
        "submitter_task", "mm_account", "io_ev_fd", "file_table.data.nr", "file_table.data.nodes", "file_alloc_start", "file_alloc_end",
        "buf_table.nr", "buf_table.nodes", "restrictions.registered", "iowq_limits", "clockid", .. s_foreign.Select(f => f.Member),
    ];

    private void AddPointed(BpfRow row, Dictionary<string, int> words)
    {
        words["processor"] = row.FromAddress(words["sq_data"], _types.OffsetOf("io_sq_data", "sq_cpu"));
        words["submitter"] = row.FromAddress(words["submitter_task"], _types.OffsetOf("task_struct", "pid"));
        words["event"] = row.FromAddress(words["io_ev_fd"], _types.OffsetOf("io_ev_fd", "cq_ev_fd"));
        words["event async"] = row.FromAddress(words["io_ev_fd"], _types.OffsetOf("io_ev_fd", "eventfd_async"));
    }

    private RingState State(int fd, Func<string, ulong> word, ulong memory, Dictionary<ulong, int> byFile, Dictionary<ulong, int> byPrivate)
    {
        uint flags = (uint)word("flags");
        int files = (int)(uint)word("file_table.data.nr"), buffers = (int)(uint)word("buf_table.nr");
        (List<ulong> registered, bool fileTags) = Nodes(fd, "file_table.data.nodes", files, "file_ptr");
        (_, bool bufferTags) = Nodes(fd, "buf_table.nodes", buffers, "buf");
        ulong events = word("io_ev_fd") == 0 ? 0 : word("event");
        string? unknown = s_foreign.FirstOrDefault(f => (f.Member.EndsWith("nr_pages") ? (uint)word(f.Member) : word(f.Member)) != 0).What
            ?? ((byte)word("restrictions.registered") != 0 ? "restrictions"
            : _registersRings ? "descriptors of rings that are registered themselves"
            : fileTags || bufferTags ? "tags of registered files or buffers"
            : (word("iowq_limits") & 0xffffffff) != 0 || word("iowq_limits") >> 32 != 0 ? "limits of workers"
            : (uint)word("clockid") is not 1 and not 0 ? "another clock"
            : (uint)word("file_alloc_start") != 0 || ((uint)word("file_alloc_end") is var end && end != 0 && end != (uint)files) ? "a range for registered files"
            : null);
        return new RingState
        {
            Fd = fd, Flags = flags, SqEntries = (uint)word("sq_entries"), CqEntries = (uint)word("cq_entries"), SqHead = (uint)word("cached_sq_head"),
            CqTail = (uint)word("cached_cq_tail"), RingsLength = (int)(uint)word("ring_region.nr_pages") * Kernel.Memory.PageSize,
            RequestsLength = (int)(uint)word("sq_region.nr_pages") * Kernel.Memory.PageSize, ThreadIdle = Milliseconds((uint)word("sq_thread_idle")),
            ThreadProcessor = (int)(uint)word("processor"), Submitter = word("submitter_task") == 0 ? 0 : (int)(uint)word("submitter"),
            IsOwn = word("mm_account") == memory,
            EventFd = events == 0 ? null : byPrivate.GetValueOrDefault(events, -1), EventAsync = (word("event async") & 1) != 0,
            Files = [.. registered.Select(f => f == 0 ? -1 : byFile.GetValueOrDefault(f & AddressMask, -2))], Buffers = buffers, Unknown = unknown,
        };
    }

    private static uint Milliseconds(uint ticks) => (uint)(ticks * 1000L / PosixTimerCalls.TicksPerSecond());

    // The address of the process's memory, and that its tasks have no rings registered for themselves (IORING_REGISTER_RING_FDS).
    private ulong OwnMemory()
    {
        const int Registered = 16, Words = 2 + Registered;
        BpfRow row = BpfRow.OfTasks(Words);
        int memory = row.FromObject(_types.OffsetOf("task_struct", "mm"));
        int context = row.FromObject(_types.OffsetOf("task_struct", "io_uring"));
        for (int i = 0; i < Registered; i++)
        {
            row.FromAddress(context, _types.OffsetOf("io_uring_task", "registered_rings") + i * sizeof(ulong));
        }

        List<ulong[]> rows = row.Run("bpf_iter_task", _pid);
        _registersRings = rows.Any(r => r[context] != 0 && r.AsSpan(2).ContainsAnyExcept(0UL));
        return rows.Select(r => r[memory]).FirstOrDefault();
    }

    // Registered files and buffers are an array of pointers to nodes.
    private (List<ulong> Values, bool Tagged) Nodes(int fd, string array, int count, string value)
    {
        List<ulong> values = [];
        bool tagged = false;
        for (int start = 0; start < count; start += NodesAtOnce)
        {
            int part = Math.Min(NodesAtOnce, count - start);
            BpfRow row = BpfRow.OfFiles(4 + 3 * part);
            int nodes = row.FromAddress(row.FromObject(_types.OffsetOf("file", "private_data")), At(array));
            List<(int Value, int Tag)> places = [];
            for (int i = start; i < start + part; i++)
            {
                int node = row.FromAddress(nodes, i * sizeof(ulong));
                places.Add((row.FromAddress(node, _types.OffsetOf("io_rsrc_node", value)), row.FromAddress(node, _types.OffsetOf("io_rsrc_node", "tag"))));
            }

            ulong[] own = row.RunOnFile(_pid, fd);
            values.AddRange(places.Select(p => own[p.Value]));
            tagged |= places.Any(p => own[p.Tag] != 0);
        }

        return (values, tagged);
    }

    // A ring keeps the requests that it has once made; those that are not on their way wait in a list (struct io_submit_state).
    private long CountInFlight(int fd)
    {
        long free = 0, made = 0;
        ulong last = 0;
        do
        {
            BpfRow row = BpfRow.OfFiles(4 + NodesInList);
            int context = row.FromObject(_types.OffsetOf("file", "private_data")), count = row.FromAddress(context, At("nr_req_allocated"));
            int first = last == 0 ? row.FromAddress(context, At("submit_state.free_list")) : row.FromAddress(row.Known(last), 0), at = first;
            for (int i = 1; i < NodesInList - 1; i++)
            {
                at = row.FromAddress(at, 0);
            }

            ulong[] words = row.RunOnFile(_pid, fd);
            made = (uint)words[count];
            ReadOnlySpan<ulong> nodes = words.AsSpan(first..(at + 1));
            free += nodes.IndexOf(0UL) is int end and >= 0 ? end : nodes.Length;
            last = nodes[^1];
        }
        while (last != 0 && free <= made);
        return made - free;
    }
}
