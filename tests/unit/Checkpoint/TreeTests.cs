using System.Diagnostics;
using CriuPS.Engine.Dump;
using CriuPS.Engine.Options;
using CriuPS.Engine.Proc;
using CriuPS.Engine.Restore;
using Xunit;

namespace CriuPS.Tests.Checkpoint;

/// <summary>
/// Random families (tests/targets/tree.c) that are frozen, saved, ended and brought back. CRIUPS_TREE_SEEDS=FIRST-LAST tries other seeds than the usual ones.
/// </summary>
public sealed class TreeTests
{
    public static TheoryData<int> AllSeeds() => Seeds.Of("CRIUPS_TREE_SEEDS");

    [Theory]
    [MemberData(nameof(AllSeeds))]
    public void A_family_does_not_notice_its_checkpoint(int seed)
    {
        using Target target = Target.Start("tree", $"SEED={seed}");
        HashSet<int> pids = [target.Pid];
        try
        {
            IReadOnlyList<string> before = Family(target.Pid, pids);
            int living = before.Count(line => line.StartsWith("family ", StringComparison.Ordinal) && !line.Contains(" Z "));
            for (int round = 0; round < 2; round++)
            {
                DumpResult dump = new DumpOperation(new DumpOptions { Pid = target.Pid, ImagesDirectory = target.Images, Force = true }).Run();
                Assert.Equal(pids.Count, dump.Processes);
                RestoreResult restore = new RestoreOperation(new RestoreOptions { ImagesDirectory = target.Images }).Run();
                Assert.Equal(pids.Count, restore.Processes);
                Assert.Equal(before, Family(target.Pid, pids));
            }

            Assert.Equal("ok", target.Finish());
            Assert.DoesNotContain("fail", target.Said);
            Assert.Contains($"verdicts {living}\n", target.Said);
        }
        finally
        {
            foreach (int pid in pids)
            {
                using Process kill = Process.Start(new ProcessStartInfo("kill", ["-KILL", $"{pid}"]) { RedirectStandardError = true })!;
                kill.WaitForExit();
            }
        }
    }

    // Kinship, state and everything in /proc of every member. Who runs, sleeps or is about to may differ from one moment to the next.
    private static List<string> Family(int root, HashSet<int> pids)
    {
        Thread.Sleep(50);
        List<string> lines = [];
        foreach ((int pid, _) in ProcessTree.Read().Walk([root]))
        {
            pids.Add(pid);
            using ProcDirectory proc = new(pid);
            ProcStat stat = ProcStat.Read(proc);
            char state = stat.State is 'Z' or 'T' ? stat.State : 'S';
            int parent = pid == root ? 0 : stat.ParentPid;
            string exit = IsStoppedOrphan(stat) ? "stopped" : stat.ExitCode.ToString();
            lines.Add($"family {pid} {stat.Comm} {state} parent {parent} session {stat.Session} group {stat.ProcessGroup} exit {exit}");
            if (!stat.IsZombie)
            {
                lines.AddRange(ProcSnapshot.Of(pid).Select(line => $"{pid} {line}"));
            }
        }

        return lines;
    }

    // Its parent has made a session of its own since it was stopped: the group is an orphan now, which the kernel lets nobody stop but with SIGSTOP.
    private static bool IsStoppedOrphan(ProcStat stat)
    {
        using ProcDirectory parent = new(stat.ParentPid);
        return stat.State == 'T' && ProcStat.Read(parent).Session != stat.Session;
    }
}
