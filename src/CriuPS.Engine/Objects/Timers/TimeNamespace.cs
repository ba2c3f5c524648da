using CriuPS.Engine.Compel;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Images;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects.Ids;
using CriuPS.Engine.Proc;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Timers;

/// <summary>
/// The clocks that begin at boot (CLOCK_MONOTONIC, CLOCK_BOOTTIME), and the namespace that shifts them (struct time_namespace, time_namespaces(7), since Linux
/// 5.6). Images keep what they showed. Where they would show something else at the restore, after a reboot or on another machine, or where the tree had such a
/// namespace already, the root makes one before it has children: unshare(2), then the offsets into /proc/PID/timens_offsets, then setns(2).
/// </summary>
internal static class TimeNamespace
{
    private const int CLONE_NEWTIME = 0x80;

    /// <summary>The image of the clocks of the machine itself has this number.</summary>
    private const uint Machine = 0;

    /// <summary>Saves what the clocks show: those of the machine, and those of the tree if it lives in a namespace of its own.</summary>
    /// <param name="images">Takes them.</param>
    /// <param name="root">The root of the tree.</param>
    /// <param name="own">Whether it lives in a namespace of its own.</param>
    public static void Save(ImageSet images, ProcDirectory root, bool own)
    {
        ProcTimeOffsets now = Now();
        images.WriteSingle(ImageType.TimeNs, Machine, Entry(now));
        if (own)
        {
            ProcTimeOffsets shift = ProcTimeOffsets.Read(root);
            images.WriteSingle(ImageType.TimeNs, SharedObjects.TimeNamespaceOfTree, Entry(new(now.Monotonic + shift.Monotonic, now.BootTime + shift.BootTime)));
        }
    }

    /// <summary>What the clocks of a restored tree must begin with; null where those of the machine do.</summary>
    /// <param name="images">The set.</param>
    /// <param name="inventory">What it says of the machine.</param>
    /// <param name="ids">The namespaces of the root.</param>
    /// <param name="bootId">The boot of the machine during which it was dumped; null or empty where that is not known.</param>
    /// <param name="own">Whether the tree lived in a namespace of its own.</param>
    public static TimensEntry? ClocksFor(ImageSet images, InventoryEntry inventory, TaskKobjIdsEntry ids, string? bootId, out bool own)
    {
        own = inventory.RootIds is { HasTimeNsId: true } machine && ids.HasTimeNsId && ids.TimeNsId != machine.TimeNsId;
        if (own)
        {
            return images.ReadSingle<TimensEntry>(ImageType.TimeNs, ids.TimeNsId);
        }

        bool sameBoot = bootId == $"{ProcRoot.ReadBootId()}";
        return !sameBoot && images.TryReadSingle(ImageType.TimeNs, Machine, out TimensEntry? clocks) ? clocks : null;
    }

    /// <summary>Lets the root of a tree, which has no children and one thread, have clocks that go on from what they showed.</summary>
    /// <param name="root">The root.</param>
    /// <param name="clocks">What they showed.</param>
    /// <exception cref="CriuException">The kernel has no time namespaces, or CAP_SYS_ADMIN or CAP_SYS_TIME is missing.</exception>
    public static void Enter(RemoteBatch root, TimensEntry clocks)
    {
        const string Remedy = "time namespaces need Linux 5.6, CAP_SYS_ADMIN and CAP_SYS_TIME";
        try
        {
            root.Add("unshare(CLONE_NEWTIME)", SyscallNumber.unshare, CLONE_NEWTIME);
            root.Run();
            WriteOffsets(root.Task.Pid, clocks);
            SyscallProgram program = root.Room(3, 64);
            ulong path = program.Put("/proc/self/ns/time_for_children\0"u8);
            Operation file = program.Add("open of its time namespace", SyscallNumber.openat, OpenAt.AT_FDCWD, path, Fcntl.O_RDONLY | Fcntl.O_CLOEXEC, 0);
            program.Add("setns(CLONE_NEWTIME)", SyscallNumber.setns, file, CLONE_NEWTIME);
            program.Add("close", SyscallNumber.close, file);
            root.Run();
        }
        catch (CriuException e) when (e is RemoteCallException or KernelException)
        {
            throw new CriuException("ClocksNotSet", e.Kind, $"the clocks cannot go on from what they showed at the dump: {e.Message}", e)
            {
                Pid = root.Task.Pid, Errno = e.Errno, Remedy = Remedy,
            };
        }
    }

    // The namespace must be set up before anybody lives in it.
    private static void WriteOffsets(int pid, TimensEntry clocks)
    {
        string path = $"/proc/{pid}/timens_offsets";
        using SafeFileHandle file = OpenAt.Open(path, OpenAt.O_WRONLY);
        ProcTimeOffsets now = Now();
        ProcTimeOffsets shift = new(Nanoseconds(clocks.Monotonic) - now.Monotonic, Nanoseconds(clocks.Boottime) - now.BootTime);
        int errno = FileAt.TryWriteAll(file, System.Text.Encoding.ASCII.GetBytes(shift.ToString()));
        if (errno != 0)
        {
            throw new KernelException($"write of {path}", errno);
        }
    }

    // What the machine's clocks show outside of all namespaces, in nanoseconds.
    private static ProcTimeOffsets Now()
    {
        using ProcDirectory self = new(Environment.ProcessId);
        ProcTimeOffsets ours = self.TryReadLinkText("ns/time", out _) is null ? default : ProcTimeOffsets.Read(self);
        return new ProcTimeOffsets(Show(PosixTimerCalls.CLOCK_MONOTONIC) - ours.Monotonic, Show(PosixTimerCalls.CLOCK_BOOTTIME) - ours.BootTime);
    }

    private static long Show(int clock) => PosixTimerCalls.ClockGetTime(clock).ToNanoseconds();

    private static TimensEntry Entry(ProcTimeOffsets clocks) => new() { Monotonic = Timespec(clocks.Monotonic), Boottime = Timespec(clocks.BootTime) };

    private static Images.Schema.timespec Timespec(long nanoseconds) =>
        new() { TvSec = (ulong)(nanoseconds / 1_000_000_000), TvNsec = (ulong)(nanoseconds % 1_000_000_000) };

    private static long Nanoseconds(Images.Schema.timespec time) => checked(((long)time.TvSec * 1_000_000_000) + (long)time.TvNsec);
}
