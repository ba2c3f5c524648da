using CriuPS.Engine.Compel;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects;
using CriuPS.Engine.Objects.Memory;
using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Restore;

/// <summary>
/// The place in the address space where the restorer lives: the same hole for all processes of a tree, so that a child begins with all that its parent had there.
/// The arena comes first, then the vDSO, put aside until it gets its own place.
/// </summary>
internal sealed class RestoreSite
{
    // What makes a thread takes this much of its leader's program.
    private const int UsualLeaderRoom = 128 << 10, UsualThreadRoom = 4 << 10, BirthRoom = 256, MostBirthRoom = 1 << 20;

    private readonly int _leaderRoom, _threadRoom;

    private RestoreSite(Tracer tracer, Arena arena, Vdso vdso, (int Leader, int Thread) rooms)
    {
        (Tracer, Arena, Vdso) = (tracer, arena, vdso);
        (_leaderRoom, _threadRoom) = rooms;
    }

    public Tracer Tracer { get; }

    public Arena Arena { get; }

    public Vdso Vdso { get; }

    /// <summary>The extended registers of a newborn: what an image does not set keeps these values.</summary>
    public required byte[] ExtendedState { get; init; }

    /// <summary>What every newborn begins with.</summary>
    public required InheritedState Inherited { get; init; }

    /// <summary>How many descriptors a newborn may have.</summary>
    public ulong DescriptorLimit => Inherited.Limits[(int)ResourceKind.OpenFiles].Soft;

    /// <summary>The files that are on their way to newborns.</summary>
    public FilesUnderway Underway => field ??= new FilesUnderway(DescriptorLimit);

    /// <summary>The byte after the hole.</summary>
    public ulong End => Arena.Address + Arena.Size + Vdso.Size;

    /// <summary>Where the restorer's last system call can be made.</summary>
    public ulong SyscallAt =>
        Arena.Interpreter + (ulong)Tracer.Architecture.Interpreter.IndexOf(Tracer.Architecture.SyscallInstruction);

    /// <summary>Finds a hole that no process of the tree uses and makes the root move into it.</summary>
    /// <exception cref="Errors.CriuException">There is none, or the tree comes from another kernel.</exception>
    public static RestoreSite Create(Tracer tracer, SavedTree tree, Tracee root)
    {
        byte[] extended = root.Save().Extended;
        using ProcDirectory proc = new(root.Pid);
        List<Vma> own = ProcMaps.Read(proc);
        Vdso vdso = new(own);
        byte[] code = vdso.ReadCode(root.Pid);
        Workers.Each([.. tree.Processes.Where(p => !p.IsCompat)], process => vdso.Validate(code, process.Mm.Vmas, process.ReadMemory));

        // The list of a task's groups and a filter of its system calls may not fit into the usual room.
        int filter = tree.Processes.SelectMany(p => p.Filters).SelectMany(f => f).Select(f => f.Filter.Length).DefaultIfEmpty().Max();
        int large = filter + sizeof(uint) * tree.Processes.SelectMany(p => p.Cores).Max(c => c.Core.ThreadCore.Creds?.Groups.Count ?? 0);
        int mostTasks = tree.Processes.Max(p => p.Cores.Count);
        int births = Math.Min(mostTasks * BirthRoom, MostBirthRoom);
        (int Leader, int Thread) rooms = (PageAligned(UsualLeaderRoom + large + births), Aligned(UsualThreadRoom + large));
        int dataSize = PageAligned(rooms.Leader + (mostTasks - 1) * rooms.Thread);
        IEnumerable<(ulong, ulong)> used = tree.Processes.SelectMany(p => p.Mm.Vmas).Select(v => (v.Start, v.End));
        IEnumerable<(ulong, ulong)> rings = tree.Files.Opening.OwnFiles.SelectMany(f => f.Uring?.Mappings ?? []).Select(m => (m.Start, m.End));
        ulong hole = AddressHole.Find(
            [.. own.Select(v => (v.Start, v.End)), .. used, .. rings], Arena.SizeFor(dataSize) + vdso.Size, tracer.Architecture,
            tree.Processes.Any(p => p.IsCompat));
        Arena arena = Arena.CreateAsync(root, Newborn.SyscallAt(tracer.Architecture), dataSize, hole).Result;
        IEnumerable<uint> logins = tree.Processes.Select(p => p.LeaderCore.Tc).Where(core => core.HasLoginuid).Select(core => core.Loginuid);
        return new RestoreSite(tracer, arena, vdso, rooms) { ExtendedState = extended, Inherited = InheritedState.Of(proc, logins) };
    }

    /// <summary>Collects system calls for a process.</summary>
    /// <param name="task">Its leader.</param>
    public RemoteBatch NewBatch(Tracee task) => new(task, Arena, 0, _leaderRoom);

    /// <summary>Collects system calls for a thread that may not be born yet.</summary>
    /// <param name="thread">The thread.</param>
    /// <param name="index">Its place among the tasks of its process, above 0.</param>
    /// <param name="registers">The registers of such a thread when it is born.</param>
    /// <param name="onlyCollects">Whether nothing may run before all threads do.</param>
    public RemoteBatch NewBatch(Tracee thread, int index, Func<byte[]?> registers, bool onlyCollects) =>
        new(thread, Arena, _leaderRoom + (index - 1) * _threadRoom, _threadRoom) { OnlyCollects = onlyCollects, Registers = registers };

    /// <summary>Moves the root's vDSO into the hole; its descendants are born with it there.</summary>
    public void PutVdsoAside(RemoteBatch root) => Vdso.PutAside(root, Arena.Address + Arena.Size);

    private static int Aligned(int size) => (size + 63) / 64 * 64;

    private static int PageAligned(int size) => (size + 64 + Memory.PageSize - 1) / Memory.PageSize * Memory.PageSize;
}
