using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;
using Xunit;

namespace CriuPS.Tests.Kernel;

/// <summary>What the kernel's memory says that tasks have in common must be common to them; what they do not have, it must tell apart.</summary>
public sealed class TaskStructsTests
{
    private const int PR_SET_KEEPCAPS = 8;

    [Fact]
    public void Tasks_with_the_same_credentials_have_the_same_in_proc_and_one_that_changes_its_own_is_another()
    {
        using TaskStructs? structs = TaskStructs.TryPrepare();
        Assert.SkipWhen(structs is null, "this kernel, or this user, has no iterators of bpf(2)");
        using ManualResetEventSlim changed = new(), done = new();
        int other = 0;
        Thread thread = new(() =>
        {
            other = (int)Syscall.Invoke(SyscallNumber.gettid);
            Syscall.Check(Syscall.Invoke(SyscallNumber.prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0), "prctl(PR_SET_KEEPCAPS)");
            changed.Set();
            done.Wait();
        });
        thread.Start();
        changed.Wait();
        try
        {
            int pid = Environment.ProcessId;
            IReadOnlyDictionary<int, TaskStructs.Facts> facts = structs.TryAsk([pid])!;
            using ProcDirectory self = new(pid);
            TaskStructs.Facts leader = facts[pid];
            Assert.NotEqual(leader.Credentials, facts[other].Credentials);
            Assert.Equal((leader.Files, leader.Directories), (facts[other].Files, facts[other].Directories));
            ProcCredentials ofLeader = ProcCredentials.ReadTask(self, pid);
            Assert.All(facts.Where(task => task.Value.Credentials == leader.Credentials), task => Assert.Equivalent(ofLeader, ProcCredentials.ReadTask(self, task.Key)));
        }
        finally
        {
            done.Set();
            thread.Join();
        }
    }

    [Fact]
    public void Members_of_members_are_found_behind_const_and_other_names()
    {
        Assert.SkipUnless(File.Exists(KernelTypes.Path), "this kernel does not describe its types");
        KernelTypes types = KernelTypes.Running;
        Assert.Equal(types.OffsetOf("file", "f_path") + types.OffsetOf("path", "mnt"), types.OffsetOf("file", "f_path", "mnt"));
        Assert.True(types.IsPointer("file", "f_op"));
        Assert.False(types.IsPointer("file", "f_pos"));
        Assert.False(types.IsPointer("file", "no such member"));
    }
}
