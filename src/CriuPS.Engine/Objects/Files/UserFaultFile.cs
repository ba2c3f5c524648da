using CriuPS.Engine.Compel;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects.Memory;
using CriuPS.Engine.Proc;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// A file of userfaultfd(2) (struct userfaultfd_ctx). fdinfo tells its features; whose memory it belongs to, and whether it leaves out the kernel's own faults
/// (UFFD_USER_MODE_ONLY), only a BPF program does. It belongs to the memory of whoever makes it, so that process makes it again, and registers with it what was
/// (<see cref="WatchedMemory"/>). A task that waits for a page is woken by the freeze as by any signal, and faults again afterwards.
/// </summary>
internal sealed class UserFaultFile : IFileKind
{
    /// <summary>What the kernel adds to the features when they have been agreed on (fs/userfaultfd.c, UFFD_FEATURE_INITIALIZED).</summary>
    private const ulong Agreed = 1UL << 31;

    private readonly record struct State(ulong Features, bool UserModeOnly, ulong Context, int Maker);

    private static ReadOnlySpan<byte> Name => "anon_inode:[userfaultfd]"u8;

    public FdTypes Type => FdTypes.Ext;

    public bool Recognizes(OpenFile file) => file.Link.Bytes.SequenceEqual(Name);

    public (string Reason, string Remedy)? Objection(OpenFile file, TreeFiles tree)
    {
        const string Remedy = "close it before the dump";
        try
        {
            State state = Find(file, tree);
            return state.Maker == 0 ? ("it is a userfaultfd that was made by a process which does not have it any more", Remedy)
                : (state.Features & WatchedMemory.MarkingFeatures) != 0 && WatchedMemory.ContextsIn(state.Maker).ContainsValue(state.Context)
                    ? ("it is a userfaultfd with memory, whose absent pages may be marked (UFFD_FEATURE_WP_UNPOPULATED, WP_ASYNC or POISON)", Remedy)
                : null;
        }
        catch (CriuException e) when (BpfRow.IsUntold(e))
        {
            return ($"it is a userfaultfd of which the kernel does not tell: {e.Message}", "CAP_BPF, CAP_PERFMON and a kernel with BTF are needed; or close it");
        }
    }

    /// <summary>Why memory of a process cannot be dumped that is registered with a userfaultfd: that file must come back with it.</summary>
    /// <param name="pid">The process.</param>
    /// <param name="watched">Its memory.</param>
    /// <param name="tree">All descriptors that are dumped together.</param>
    public static IEnumerable<(Mapping Mapping, string Reason, string Remedy)> Objections(int pid, IReadOnlyList<Mapping> watched, TreeFiles tree)
    {
        const string Remedy = "let the program unregister it before the dump";
        try
        {
            Dictionary<ulong, ulong> contexts = WatchedMemory.ContextsIn(pid);
            IEnumerable<OpenFile> files = tree.OfProcess(pid).Where(f => f.Link.Bytes.SequenceEqual(Name) && !tree.IsReplaced(f));
            HashSet<ulong> kept = [.. files.Select(f => Context(f).Itself)];
            return [.. watched.Where(m => !kept.Contains(contexts.GetValueOrDefault(m.Vma.Start)))
                .Select(m => (m, "it is registered with a userfaultfd that the process does not have, or that is left out", Remedy))];
        }
        catch (CriuException e) when (BpfRow.IsUntold(e))
        {
            return [.. watched.Select(m => (m, $"it is registered with a userfaultfd of which the kernel does not tell: {e.Message}", Remedy))];
        }
    }

    public FileEntry Save(OpenFile file, HeldFile held, uint id, FileImages images)
    {
        State state = Find(file, images.Tree);
        CriupsUserfaultEntry entry = new()
        {
            Features = state.Features, UserModeOnly = state.UserModeOnly, Pid = (uint)state.Maker, Flags = (uint)file.FileFlags,
        };
        WatchedMemory.Save(entry, state.Maker, state.Context);
        images.WriteOwn(new CriupsFileEntry { Id = id, Userfault = entry });
        return new FileEntry { Type = Type, Id = id, Ext = new ExtFileEntry { Id = id, Fown = FileOwner.Save(file, images.Tree) } };
    }

    public void Validate(FileEntry entry, FileOpening opening)
    {
    }

    // Until the process makes it: something that has no effect on anybody.
    public SafeFileHandle Open(FileEntry entry, FileOpening opening) => OpenAt.Open("/dev/null", Fcntl.O_RDWR);

    public bool MakeInside(FileEntry entry, FdinfoEntry descriptor, IReadOnlyDictionary<int, RemoteBatch> tasks, FileOpening opening)
    {
        CriupsUserfaultEntry saved = opening.Own(entry.Id)!.Userfault;
        if (!tasks.TryGetValue((int)saved.Pid, out RemoteBatch? batch))
        {
            return false;
        }

        SyscallProgram program = batch.Room(4, 64);
        int flags = (saved.UserModeOnly ? UserFault.UFFD_USER_MODE_ONLY : 0) | ((int)saved.Flags & Fcntl.O_NONBLOCK);
        Operation made = program.Add("userfaultfd", SyscallNumber.userfaultfd, flags);
        if ((saved.Features & Agreed) != 0)
        {
            ulong features = program.Put(new UserFault.uffdio_api { api = UserFault.UFFD_API, features = saved.Features & ~Agreed });
            program.Add("ioctl(UFFDIO_API)", SyscallNumber.ioctl, made, (long)UserFault.UFFDIO_API, features);
        }

        program.AddMove(made, (int)descriptor.Fd, FileTable.IsClosedOnExec(descriptor));
        WatchedMemory.Restore(batch, saved, (int)descriptor.Fd);
        batch.Run();
        return true;
    }

    private static State Find(OpenFile file, TreeFiles tree)
    {
        (ulong context, ulong features, ulong flags, ulong memory) = Context(file);
        int maker = tree.OfSameFile(file).Where(f => f.Link == file.Link && Context(f).Memory == memory && Kcmp.SameFile(f.Pid, f.Fd, file.Pid, file.Fd))
            .Select(f => f.Pid).FirstOrDefault(pid => MemoryOf(pid) == memory);
        return new State(features, (flags & UserFault.UFFD_USER_MODE_ONLY) != 0, context, maker);
    }

    private static (ulong Itself, ulong Features, ulong Flags, ulong Memory) Context(OpenFile file)
    {
        KernelTypes types = KernelTypes.Running;
        BpfRow row = BpfRow.OfFiles(words: 5);
        int context = row.FromObject(types.OffsetOf("file", "private_data"));
        int flags = row.FromAddress(context, types.OffsetOf("userfaultfd_ctx", "flags")), features = row.FromAddress(context, types.OffsetOf("userfaultfd_ctx", "features"));
        int memory = row.FromAddress(context, types.OffsetOf("userfaultfd_ctx", "mm"));
        ulong[] found = row.RunOnFile(file.Pid, file.Fd);
        return (found[context], (uint)found[features], (uint)found[flags], found[memory]);
    }

    private static ulong MemoryOf(int pid)
    {
        BpfRow row = BpfRow.OfTasks(words: 1);
        int memory = row.FromObject(KernelTypes.Running.OffsetOf("task_struct", "mm"));
        return row.Run("bpf_iter_task", pid).Select(r => r[memory]).FirstOrDefault();
    }
}
