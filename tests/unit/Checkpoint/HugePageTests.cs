using System.Diagnostics;
using CriuPS.Engine.Dump;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Options;
using CriuPS.Engine.Restore;
using Xunit;

namespace CriuPS.Tests.Checkpoint;

/// <summary>Memory of huge pages, for which the machine's pool must have some.</summary>
public sealed class HugePageTests : IDisposable
{
    private const string Pool = "/proc/sys/vm/nr_hugepages";
    private const int Needed = 24;

    private readonly string _before = File.ReadAllText(Pool);
    private readonly string _mount = Directory.CreateTempSubdirectory("criups-huge-").FullName;

    public HugePageTests()
    {
        File.WriteAllText(Pool, $"{int.Parse(_before) + Needed}");
        Assert.True(int.Parse(File.ReadAllText(Pool)) >= Needed, "the machine has no memory for huge pages");
        Assert.Equal(0, Run("mount", "-t", "hugetlbfs", "-o", "pagesize=2M", "none", _mount));
    }

    [Fact]
    public void A_program_with_huge_pages_does_not_notice_its_checkpoint()
    {
        using Target target = Target.Start("huge_pages", $"HUGE_FOLDER={_mount}");
        for (int round = 0; round < 2; round++)
        {
            IReadOnlyList<string> before = ProcSnapshot.Of(target.Pid);
            Dump(target);
            Restore(target);
            string difference = ProcSnapshot.Difference(before, ProcSnapshot.Of(target.Pid));
            Assert.True(difference == "", $"{target.Said}\n{difference}");
        }

        Assert.Equal("ok", target.Finish());
    }

    [Fact]
    public void Too_few_pages_are_an_error_before_anything_is_started()
    {
        using Target target = Target.Start("huge_pages");
        Dump(target);
        File.WriteAllText(Pool, "3");
        CriuException error = Assert.Throws<CriuException>(() => Restore(target));
        Assert.Equal("HugePagesMissing", error.Id);
        Assert.Contains("2048 KiB", error.Message);
        File.WriteAllText(Pool, $"{Needed}");
        Restore(target);
        Assert.Equal("ok", target.Finish());
    }

    public void Dispose()
    {
        Run("umount", _mount);
        Directory.Delete(_mount);
        File.WriteAllText(Pool, _before);
    }

    private static int Run(string program, params string[] arguments)
    {
        using Process process = Process.Start(program, arguments);
        process.WaitForExit();
        return process.ExitCode;
    }

    private static void Dump(Target target) =>
        new DumpOperation(new DumpOptions { Pid = target.Pid, ImagesDirectory = target.Images, FinalState = FinalState.Kill, Force = true }).Run();

    private static void Restore(Target target) => new RestoreOperation(new RestoreOptions { ImagesDirectory = target.Images }).Run();
}
