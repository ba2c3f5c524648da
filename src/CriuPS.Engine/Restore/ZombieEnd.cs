using CriuPS.Engine.Compel;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Restore;

/// <summary>
/// Lets a newborn end as the process did whose place it has: it waits for its parent then as a zombie. How it ended is all that its parent can learn, wait(2);
/// that a core was written cannot be had again without writing one.
/// </summary>
internal static class ZombieEnd
{
    /// <summary>Ends a newborn.</summary>
    public static void Make(Tracer tracer, Member newborn, SavedZombie saved)
    {
        Span<byte> name = stackalloc byte[16];
        name.Clear();
        saved.Name.Span[..Math.Min(saved.Name.Length, name.Length - 1)].CopyTo(name);
        SyscallProgram program = newborn.Batch.Room(2, name.Length);
        program.Add("prctl(PR_SET_NAME)", SyscallNumber.prctl, Prctl.PR_SET_NAME, program.Put(name));
        program.Add("prctl(PR_SET_DUMPABLE)", SyscallNumber.prctl, Prctl.PR_SET_DUMPABLE, 0);
        newborn.Batch.Run();
        if (saved.Signal == 0)
        {
            newborn.Batch.Add("exit_group", SyscallNumber.exit_group, saved.Code);
            newborn.Batch.Start();
        }
        else
        {
            Ptrace.SetSigMask(saved.Pid, 0);
            Signals.Kill(saved.Pid, saved.Signal);
            if (saved.Signal != Signals.SIGKILL)
            {
                Ptrace.Continue(saved.Pid);
            }
        }

        AwaitEnd(tracer, saved);
    }

    private static void AwaitEnd(Tracer tracer, SavedZombie saved)
    {
        while (true)
        {
            WaitStatus status = tracer.Await(saved.Pid, TimeSpan.FromSeconds(30), cancellable: false);
            if (status.IsGone)
            {
                return;
            }

            // The signal is about to be delivered: it is.
            Ptrace.Continue(saved.Pid, status.IsEventStop ? 0 : status.StopSignal);
        }
    }
}
