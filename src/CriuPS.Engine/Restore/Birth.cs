using System.Diagnostics;
using System.Runtime.InteropServices;
using CriuPS.Engine.Compel;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Options;
using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Restore;

/// <summary>
/// The birth of the root of a tree with its old pid. A midwife, born from this process, makes the root by clone3 with set_tid and exits, so that the
/// root belongs to init; only a root that shall be ours, or our parent's, is born without one. All are traced from their first instruction
/// and die with the tracer (PTRACE_O_EXITKILL).
/// </summary>
internal sealed class Birth(Tracer tracer)
{
    /// <summary>How newborns are traced.</summary>
    public const int TraceOptions = Ptrace.PTRACE_O_EXITKILL | Ptrace.PTRACE_O_TRACESYSGOOD;
    private const int MostMidwives = 1000;
    private static readonly TimeSpan s_zombiePatience = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan s_numberPatience = TimeSpan.FromMilliseconds(200);

    /// <summary>Makes the root, after all numbers that its tree needs have become free.</summary>
    /// <exception cref="CriuException">A number is in use.</exception>
    public Tracee Root(SavedTree tree, RestoreOptions options)
    {
        foreach (int number in tree.Numbers)
        {
            AwaitFree(number);
        }

        int pid = tree.Root.Pid;
        return options.Sibling ? WithoutMidwife(pid, Clone3.CLONE_PARENT) : options.Detached ? ByMidwife(pid, tree.Numbers) : WithoutMidwife(pid, 0);
    }

    // A child of ours, or of our parent: it is born directly, and must forget that it was to die with us.
    private Tracee WithoutMidwife(int pid, ulong flags)
    {
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            try
            {
                Newborn.Create(flags, pid);
                break;
            }
            catch (KernelException e) when (e.Errno == Errno.EEXIST && MayComeFree(pid, start))
            {
                Nap.Microseconds(200);
            }
        }

        Tracee root = Tracee.Seize(tracer, pid, pid, TraceOptions);
        root.AwaitFreeze();
        root.Save();
        long result = root.RunSyscall(Newborn.SyscallAt(root.Architecture), SyscallNumber.prctl, Prctl.PR_SET_PDEATHSIG, 0);
        Syscall.Check(result, "prctl(PR_SET_PDEATHSIG)");
        root.PutBack();
        return root;
    }

    private Tracee ByMidwife(int pid, IReadOnlySet<int> needed)
    {
        Tracee midwife = MakeMidwife(needed);
        try
        {
            midwife.Save();
            Clone(midwife, pid);
            return Tracee.Adopt(tracer, pid, pid);
        }
        finally
        {
            End(midwife);
        }
    }

    // Its number is anyone's, but none that the tree needs.
    private Tracee MakeMidwife(IReadOnlySet<int> needed)
    {
        for (int tries = 0; tries < MostMidwives; tries++)
        {
            int pid = Newborn.Create();
            Tracee midwife = Tracee.Seize(tracer, pid, pid, TraceOptions);
            midwife.AwaitFreeze();
            if (!needed.Contains(pid))
            {
                return midwife;
            }

            End(midwife);
        }

        throw new CriuException("NoFreePid", CriuErrorKind.Busy, "every new process gets a number that the tree needs");
    }

    private void End(Tracee midwife)
    {
        Signals.Kill(midwife.Pid, Signals.SIGKILL);
        while (!tracer.Await(midwife.Pid, TimeSpan.FromSeconds(30), cancellable: false).IsGone)
        {
        }
    }

    /// <summary>Fails if a pid is in use; a dead process that nobody has reaped yet is waited for.</summary>
    public void AwaitFree(int pid)
    {
        long start = Stopwatch.GetTimestamp();
        while (Signals.Exists(pid))
        {
            tracer.Cancellation.ThrowIfCancellationRequested();
            bool zombie = IsZombie(pid, out string holder);
            if (!zombie || Stopwatch.GetElapsedTime(start) > s_zombiePatience)
            {
                throw InUse(pid, zombie ? $"{holder}, which is dead but not reaped by its parent" : holder);
            }

            Nap.Microseconds(2000);
        }
    }

    // Since Linux 6.15 the kernel forgets a dead process first and gives its number back a moment later (kernel/exit.c, release_task).
    private static bool MayComeFree(int pid, long start) => !Signals.Exists(pid) && Stopwatch.GetElapsedTime(start) < s_numberPatience;

    private static CriuException InUse(int pid, string holder) => new("PidInUse", CriuErrorKind.AlreadyExists, $"pid {pid} is in use by {holder}")
    {
        Pid = pid, Errno = Errno.EEXIST, Remedy = "end that process, or restore in another pid namespace",
    };

    private static bool IsZombie(int pid, out string holder)
    {
        try
        {
            using ProcDirectory proc = new(pid);
            ProcStat stat = ProcStat.Read(proc);
            holder = stat.Pid == pid ? $"process {pid} ({stat.Comm.ToDisplayString()})" : "a thread";
            return stat.IsZombie;
        }
        catch (CriuException e) when (e.Id == "ProcessGone")
        {
            // Gone in this very moment, or a process group or session of that number still lives.
            holder = "a process group or a session";
            return true;
        }
    }

    private static void Clone(Tracee midwife, int pid)
    {
        ulong scratch = midwife.Architecture.StackPointer(midwife.Original!.General);
        Clone3.clone_args args = new()
        {
            flags = Clone3.CLONE_PTRACE, exit_signal = Signals.SIGCHLD, set_tid = scratch + (ulong)Marshal.SizeOf<Clone3.clone_args>(), set_tid_size = 1,
        };
        ProcessVm.Write(midwife.Pid, scratch, MemoryMarshal.AsBytes(new ReadOnlySpan<Clone3.clone_args>(in args)));
        ProcessVm.Write(midwife.Pid, args.set_tid, BitConverter.GetBytes(pid));
        long start = Stopwatch.GetTimestamp();
        long result = RunClone(midwife, scratch);
        while (result == -Errno.EEXIST && MayComeFree(pid, start))
        {
            Nap.Microseconds(200);
            result = RunClone(midwife, scratch);
        }

        if (result == -Errno.EEXIST)
        {
            IsZombie(pid, out string holder);
            throw InUse(pid, holder);
        }

        if (Syscall.IsError(result))
        {
            throw new KernelException($"clone3(set_tid {pid})", (int)-result)
            {
                Pid = pid, Remedy = result == -Errno.EPERM ? "CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN is needed to choose a pid" : null,
            };
        }
    }

    private static long RunClone(Tracee midwife, ulong arguments) => midwife.RunSyscall(
        Newborn.SyscallAt(midwife.Architecture), SyscallNumber.clone3, arguments, (ulong)Marshal.SizeOf<Clone3.clone_args>());
}
