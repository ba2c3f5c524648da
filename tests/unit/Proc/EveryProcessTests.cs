using CriuPS.Engine.Errors;
using CriuPS.Engine.Proc;
using Xunit;

namespace CriuPS.Tests.Proc;

/// <summary>Reads everything of every process of the machine: whatever runs there, no text may be malformed.</summary>
public sealed class EveryProcessTests
{
    private static readonly string[] s_expected = ["ProcessGone", "ProcFileMissing", "KernelFailure"];

    public static TheoryData<string> Readers => new(s_readers.Keys);

    private static readonly Dictionary<string, Action<ProcDirectory>> s_readers = new()
    {
        ["stat"] = d => ProcStat.Read(d),
        ["status"] = d => ProcStatus.Read(d),
        ["maps"] = d => ProcMaps.Read(d),
        ["smaps"] = d => ProcSmaps.Read(d),
        ["mountinfo"] = d => MountInfo.Read(d),
        ["timers"] = d => PosixTimer.Read(d),
        ["auxv"] = d => Auxv.Read(d),
        ["cmdline"] = d => NulSeparated.ReadCommandLine(d),
        ["environ"] = d => NulSeparated.ReadEnvironment(d),
        ["limits"] = d => ProcLimits.Read(d),
        ["io"] = d => ProcIo.Read(d),
        ["cgroup"] = d => CgroupMembership.Read(d),
        ["ns"] = d => NamespaceLink.Read(d),
        ["children"] = d => ProcTasks.ListChildren(d),
        ["comm"] = d => ProcAttributes.ReadComm(d),
        ["exe"] = d => ProcAttributes.ReadExe(d),
        ["cwd"] = d => ProcAttributes.ReadWorkingDirectory(d),
        ["root"] = d => ProcAttributes.ReadRoot(d),
        ["loginuid"] = d => ProcAttributes.ReadLoginUid(d),
        ["sessionid"] = d => ProcAttributes.ReadAuditSession(d),
        ["personality"] = d => ProcAttributes.ReadPersonality(d),
        ["oom_score_adj"] = d => ProcAttributes.ReadOomScoreAdjustment(d),
        ["timerslack_ns"] = d => ProcAttributes.ReadTimerSlack(d),
        ["coredump_filter"] = d => ProcAttributes.ReadCoreDumpFilter(d),
        ["fd"] = d => ProcDescriptors.List(d).ForEach(fd => Tolerate(() => ProcDescriptors.ReadLink(d, fd))),
        ["fdinfo"] = d => ProcDescriptors.List(d).ForEach(fd => Tolerate(() => FdInfo.Read(d, fd))),
    };

    [Theory]
    [MemberData(nameof(Readers))]
    public void Nothing_is_malformed(string reader)
    {
        int read = 0;
        foreach (int pid in ProcRoot.ListPids())
        {
            Tolerate(() =>
            {
                using var directory = new ProcDirectory(pid);
                s_readers[reader](directory);
                read++;
            });
        }

        Assert.True(read > 0);
    }

    // A process or descriptor may end at any moment, kernel threads lack files, and the tests may run without privileges.
    private static void Tolerate(Action read)
    {
        try
        {
            read();
        }
        catch (CriuException error) when (s_expected.Contains(error.Id) && error.Kind != CriuErrorKind.KernelFailure)
        {
        }
    }
}
