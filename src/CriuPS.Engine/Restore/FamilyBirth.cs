using System.Runtime.CompilerServices;
using CriuPS.Engine.Compel;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects.Family;

namespace CriuPS.Engine.Restore;

/// <summary>
/// The births of a tree after that of its root: every process is born by clone3(2) of another member, with its old number, traced from its first
/// instruction, in the order of the family plan.
/// </summary>
internal sealed class FamilyBirth(RestoreSite site, SavedTree tree)
{
    private const int MostThrowaways = 1000;

    /// <summary>Adds all births by a member, and that it makes its session between those that come before and those that come after.</summary>
    public void Prepare(Member creator)
    {
        IReadOnlyList<PlannedBirth> births = tree.Plan.BirthsBy(creator.Pid);
        foreach (PlannedBirth birth in births.Where(b => b.BeforeSetsid))
        {
            AddClone(creator, birth);
        }

        if (creator.Place.IsSessionLeader)
        {
            creator.Batch.Add("setsid", SyscallNumber.setsid);
            TakeTerminal(creator);
        }

        foreach (PlannedBirth birth in births.Where(b => !b.BeforeSetsid && b.Way != BirthWay.Orphan))
        {
            AddClone(creator, birth);
        }
    }

    /// <summary>Takes over whom a member has given birth to.</summary>
    public IEnumerable<Member> By(Member creator) =>
        tree.Plan.BirthsBy(creator.Pid).Where(b => b.Way != BirthWay.Orphan).Select(b => Adopt(creator, b.Child));

    /// <summary>
    /// Lets a member bring a process to one of its own ancestors: a throwaway child bears it and dies, and the ancestor is a subreaper for the moment, prctl(2).
    /// </summary>
    /// <param name="creator">The member.</param>
    /// <param name="birth">The birth.</param>
    /// <param name="heir">The ancestor.</param>
    public Member Orphan(Member creator, PlannedBirth birth, Member heir)
    {
        SetSubreaper(heir, true);
        Tracee throwaway = MakeThrowaway(creator);
        Member between = new(birth.Child, throwaway, site.NewBatch(throwaway)) { Memory = creator.Memory, Keyring = creator.Keyring };
        AddClone(between, birth);
        between.Batch.Run();
        Member child = Adopt(creator, birth.Child);
        End(creator, throwaway.Pid);
        SetSubreaper(heir, false);
        return child;
    }

    /// <summary>Ends a helper, and lets its parent forget it.</summary>
    public void End(Member parent, int pid)
    {
        Signals.Kill(pid, Signals.SIGKILL);
        while (!site.Tracer.Await(pid, TimeSpan.FromSeconds(30), cancellable: false).IsGone)
        {
        }

        parent.Batch.Add($"wait for the helper {pid}", SyscallNumber.wait4, pid, 0, Wait.__WALL, 0);
        parent.Batch.Run();
    }

    private void TakeTerminal(Member leader)
    {
        if (leader.Process is { } process && tree.Files.Opening.Terminals.Controlling(leader.Pid) is { } terminal)
        {
            using (terminal.Slave)
            {
                leader.Batch.Run();
                process.TakeTerminal(terminal.Slave);
            }
        }
    }

    private Member Adopt(Member creator, FamilyMember child)
    {
        Tracee task = Tracee.Adopt(site.Tracer, child.Pid, child.Pid);
        return new Member(child, task, site.NewBatch(task)) { Memory = creator.Memory, Keyring = creator.Keyring };
    }

    private void AddClone(Member creator, PlannedBirth birth)
    {
        SyscallProgram program = creator.Batch.Room(1, 128);
        ulong number = program.Put((ulong)birth.Child.Pid);
        ulong args = program.Put(new Clone3.clone_args
        {
            flags = Clone3.CLONE_PTRACE | (birth.Way == BirthWay.Sibling ? Clone3.CLONE_PARENT : 0) | SharedTables(birth),
            exit_signal = birth.Way == BirthWay.Sibling ? 0UL : Signals.SIGCHLD, set_tid = number, set_tid_size = 1,
        });
        program.Add($"clone3 of process {birth.Child.Pid}", SyscallNumber.clone3, args, Unsafe.SizeOf<Clone3.clone_args>());
    }

    private ulong SharedTables(PlannedBirth birth)
    {
        if (tree.Process(birth.Child.Pid) is not { } process)
        {
            return 0;
        }

        return (tree.SharesWithParent(process, ids => ids.FilesId) ? Clone3.CLONE_FILES : 0)
            | (tree.SharesWithParent(process, ids => ids.FsId) ? Clone3.CLONE_FS : 0);
    }

    // Its number is anyone's, but none that a member is still to get.
    private Tracee MakeThrowaway(Member creator)
    {
        for (int tries = 0; tries < MostThrowaways; tries++)
        {
            creator.Batch.Run();
            SyscallProgram program = creator.Batch.Room(1, 128);
            ulong args = program.Put(new Clone3.clone_args { flags = Clone3.CLONE_PTRACE, exit_signal = Signals.SIGCHLD });
            Operation clone = program.Add("clone3 of a helper", SyscallNumber.clone3, args, Unsafe.SizeOf<Clone3.clone_args>());
            creator.Batch.RunAndLoad();
            int pid = (int)program.Result(clone);
            program.Clear();
            Tracee throwaway = Tracee.Adopt(site.Tracer, pid, pid);
            if (!tree.Numbers.Contains(pid))
            {
                return throwaway;
            }

            End(creator, pid);
        }

        throw new CriuException("NoFreePid", CriuErrorKind.Busy, "every new process gets a number that the tree needs") { Pid = creator.Pid };
    }

    private static void SetSubreaper(Member member, bool value)
    {
        member.Batch.Add("prctl(PR_SET_CHILD_SUBREAPER)", SyscallNumber.prctl, Prctl.PR_SET_CHILD_SUBREAPER, value ? 1 : 0);
        member.Batch.Run();
    }
}
