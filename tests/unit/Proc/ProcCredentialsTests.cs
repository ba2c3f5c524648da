using System.Text;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Proc;
using Xunit;

namespace CriuPS.Tests.Proc;

public sealed class ProcCredentialsTests
{
    private const string Fixture =
        "Name:\ta\\nUid:\t7\nUmask:\t0027\nPid:\t4354\nUid:\t0\t1\t2\t4294967294\nGid:\t10\t11\t12\t13\nFDSize:\t256\nGroups:\t4 24 4294967294 \n"
        + "VmPeak:\t    2928 kB\nSigCgt:\t0000000180000002\nCapInh:\t0000000000000001\nCapPrm:\t000001fffeffffff\nCapEff:\t000001fffefffffe\n"
        + "CapBnd:\t000001ffffffffff\nCapAmb:\t0000000000000002\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t4\n";

    [Fact]
    public void Every_line_has_its_place()
    {
        ProcCredentials who = Parse(Fixture);

        Assert.Equal((new ProcIds(0, 1, 2, 4294967294), new ProcIds(10, 11, 12, 13)), (who.Uid, who.Gid));
        Assert.Equal([4, 24, 4294967294], who.Groups);
        Assert.Equal((1ul, 0x1fffefffffful, 0x1fffefffffeul), (who.Inheritable, who.Permitted, who.Effective));
        Assert.Equal((0x1fffffffffful, 2ul, true, 2), (who.Bounding, who.Ambient, who.NoNewPrivileges, who.Seccomp));
    }

    [Fact]
    public void A_kernel_without_seccomp_and_a_task_without_groups_are_no_errors()
    {
        ProcCredentials who = Parse(Fixture.Replace("4 24 4294967294 ", " ", StringComparison.Ordinal).Replace("Seccomp:\t2\nSeccomp_filters:\t4\n", "", StringComparison.Ordinal));

        Assert.Empty(who.Groups);
        Assert.Null(who.Seccomp);
    }

    [Fact]
    public void They_are_those_of_the_whole_status()
    {
        byte[] text = File.ReadAllBytes("/proc/self/status");
        ProcCredentials part = ProcCredentials.Parse(text), whole = ProcCredentials.Of(ProcStatus.Parse(text));

        Assert.Equal(whole.Groups, part.Groups);
        Assert.Equal(whole with { Groups = part.Groups }, part);
    }

    [Theory]
    [InlineData("Uid:\t0\t1\t2\t4294967294", "Uid:\t0\t1\t2")]
    [InlineData("Groups:\t4 24", "Groups:\t4 -24")]
    [InlineData("CapBnd:\t000001ffffffffff\n", "")]
    [InlineData("CapEff:\t000001fffefffffe", "CapEff:\tgg")]
    [InlineData("NoNewPrivs:\t1\n", "")]
    public void Malformed_or_missing_lines_are_errors(string line, string replacement)
    {
        Assert.Contains(line, Fixture, StringComparison.Ordinal);
        string text = Fixture.Replace(line, replacement, StringComparison.Ordinal);
        Assert.Equal("MalformedProc", Assert.Throws<CriuException>(() => Parse(text)).Id);
    }

    private static ProcCredentials Parse(string text) => ProcCredentials.Parse(Encoding.UTF8.GetBytes(text));
}
