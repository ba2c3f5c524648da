using System.Text;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Proc;
using Xunit;

namespace CriuPS.Tests.Proc;

public sealed class ProcStatusTests
{
    private const string Fixture =
        "Name:\tNAME\nUmask:\t0027\nState:\tt (tracing stop)\nTgid:\t4353\nNgid:\t0\nPid:\t4354\nPPid:\t4351\nTracerPid:\t99\n"
        + "Uid:\t0\t1\t2\t4294967294\nGid:\t10\t11\t12\t13\nFDSize:\t256\nGroups:\t4 24 4294967294 \nNStgid:\t4353\t7\nNSpid:\t4354\t8\n"
        + "NSpgid:\t4351\t0\nNSsid:\t2422\t0\nKthread:\t0\n"
        + "VmPeak:\t    2928 kB\nVmRSS:\t    1636 kB\nVmSwap:\t       0 kB\nCoreDumping:\t1\n"
        + "THP_enabled:\t0\nuntag_mask:\t0xffffffffffffffff\nThreads:\t3\nSigQ:\t1/18446744073709551615\nSigPnd:\t0000000000000001\n"
        + "ShdPnd:\t0000000000000002\nSigBlk:\tfffffffe7ffbfeff\nSigIgn:\t0000000000001000\nSigCgt:\t0000000180000002\n"
        + "CapInh:\t0000000000000001\nCapPrm:\t000001fffeffffff\nCapEff:\t000001fffefffffe\n"
        + "CapBnd:\t000001ffffffffff\nCapAmb:\t0000000000000002\n"
        + "NoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t4\nCpus_allowed_list:\t0-1\nvoluntary_ctxt_switches:\t150\n"
        + "nonvoluntary_ctxt_switches:\t545\n";

    [Fact]
    public void Every_line_has_its_place()
    {
        ProcStatus status = Parse(Fixture);

        Assert.Equal(("NAME", 0x17u, 't'), (status.Name.ToString(), status.Umask, status.State));
        Assert.Equal((4353, 4354, 4351, 99), (status.ThreadGroup, status.Tid, status.ParentPid, status.TracerPid));
        Assert.Equal((new ProcIds(0, 1, 2, 4294967294), new ProcIds(10, 11, 12, 13)), (status.Uid, status.Gid));
        Assert.Equal([4, 24, 4294967294], status.Groups);
        Assert.Equal([[4353, 7], [4354, 8]], new[] { status.NamespaceThreadGroups, status.NamespaceTids });
        Assert.Equal([[4351, 0], [2422, 0]], new[] { status.NamespaceProcessGroups, status.NamespaceSessions });
        Assert.Equal((2928 * 1024L, 1636 * 1024L, 0L), (status.PeakVirtualSize, status.ResidentSize, status.SwapSize));
        Assert.Null(status.VirtualSize);
        Assert.Equal((true, false, false, 3), (status.CoreDumping, status.TransparentHugePages, status.KernelThread, status.Threads));
        Assert.Equal((1L, -1L), (status.QueuedSignals, status.QueuedSignalsLimit));
        Assert.Equal((1ul, 2ul, 0xfffffffe7ffbfefful), (status.PendingSignals, status.SharedPendingSignals, status.BlockedSignals));
        Assert.Equal((0x1000ul, 0x180000002ul), (status.IgnoredSignals, status.CaughtSignals));
        Assert.Equal((0x1fffefffffful, 0x1fffefffffeul), (status.PermittedCapabilities, status.EffectiveCapabilities));
        Assert.Equal((1ul, 2ul), (status.InheritableCapabilities, status.AmbientCapabilities));
        Assert.Equal(0x1fffffffffful, status.BoundingCapabilities);
        Assert.Equal((true, 2, 4), (status.NoNewPrivileges, status.Seccomp, status.SeccompFilters));
        Assert.Equal((150L, 545L), (status.VoluntarySwitches, status.InvoluntarySwitches));
        Assert.Equal("0-1", status.OtherLines["Cpus_allowed_list"].ToString());
    }

    [Theory]
    [InlineData(@"a\nb", "a\nb")]
    [InlineData(@"a\\nb", @"a\nb")]
    [InlineData(@"\\", @"\")]
    [InlineData("  x ", "  x ")]
    [InlineData("Uid:\t5", "Uid:\t5")]
    [InlineData("", "")]
    public void The_name_is_unescaped(string written, string name) =>
        Assert.Equal(name, Parse(Fixture.Replace("NAME", written, StringComparison.Ordinal)).Name.ToString());

    [Fact]
    public void No_groups_are_no_error() =>
        Assert.Empty(Parse(Fixture.Replace("4 24 4294967294 ", " ", StringComparison.Ordinal)).Groups);

    [Theory]
    [InlineData("Uid:\t0\t1\t2\t4294967294", "Uid:\t0\t1\t2")]
    [InlineData("Umask:\t0027", "Umask:\t0089")]
    [InlineData("VmRSS:\t    1636 kB", "VmRSS:\t    1636 MB")]
    [InlineData("SigBlk:\tfffffffe7ffbfeff", "SigBlk:\tgg")]
    [InlineData("CapBnd:\t000001ffffffffff\n", "")]
    [InlineData("Threads:\t3\n", "")]
    [InlineData("SigQ:\t1/", "SigQ:\t1 ")]
    [InlineData("State:\tt (tracing stop)", "State:\t")]
    [InlineData("Seccomp:\t2", "Seccomp 2")]
    public void Malformed_or_missing_lines_are_errors(string line, string replacement)
    {
        Assert.Contains(line, Fixture, StringComparison.Ordinal);
        string text = Fixture.Replace(line, replacement, StringComparison.Ordinal);
        Assert.Equal("MalformedProc", Assert.Throws<CriuException>(() => Parse(text)).Id);
    }

    private static ProcStatus Parse(string text) => ProcStatus.Parse(Encoding.UTF8.GetBytes(text));
}
