using CriuPS.Engine.Dump;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Options;
using CriuPS.Engine.Restore;
using Xunit;

namespace CriuPS.Tests.Checkpoint;

/// <summary>The central test: a program is frozen, saved, ended and brought back; /proc and the program itself must not notice.</summary>
public sealed class CheckpointTests
{
    [Theory]
    [InlineData("registers", false)]
    [InlineData("waits", false)]
    [InlineData("threads", false)]
    [InlineData("syscalls", false)]
    [InlineData("timed_waits", false)]
    [InlineData("compat_program", false)]
    [InlineData("debug_registers", true)]
    [InlineData("mappings_anonymous", true)]
    [InlineData("mappings_files", true)]
    [InlineData("mappings_many", true)]
    [InlineData("mappings_scattered", true)]
    [InlineData("guards", true)]
    [InlineData("shared_anonymous", true)]
    [InlineData("memory_files", true)]
    [InlineData("memory_program", true)]
    [InlineData("deleted_files", true)]
    [InlineData("shared_by_family", false)]
    [InlineData("proc_files", false)]
    [InlineData("epoll_family", false)]
    [InlineData("ended_process", true)]
    [InlineData("login_uid", false)]
    [InlineData("keyrings", false)]
    [InlineData("spawner", false)]
    [InlineData("posix_timers", true)]
    [InlineData("signals", true)]
    [InlineData("expired_alarm", true)]
    [InlineData("notify", true)]
    [InlineData("odd_files", true)]
    [InlineData("rings", false)]
    [InlineData("aio", true)]
    [InlineData("bpf_maps", false)]
    [InlineData("user_faults", false)]
    [InlineData("watched_memory", false)]
    [InlineData("identity", true)]
    [InlineData("limits", true)]
    [InlineData("mapping_policies", false)]
    [InlineData("files", true)]
    [InlineData("pipes", true)]
    [InlineData("places", false)]
    [InlineData("many_files", true)]
    [InlineData("swapped_pipes", true)]
    [InlineData("thread_identities", true)]
    [InlineData("settings", true)]
    [InlineData("vdso_time", true)]
    [InlineData("growth", true)]
    [InlineData("events", true)]
    [InlineData("locks", true)]
    [InlineData("terminals", true)]
    [InlineData("filters", true)]
    public void A_target_does_not_notice_its_checkpoint(string name, bool quiet)
    {
        using Target target = Target.Start(name);
        for (int round = 0; round < 2; round++)
        {
            IReadOnlyList<string> before = ProcSnapshot.Of(target.Pid);
            DumpResult dump = Dump(target, FinalState.Kill);
            Assert.True(dump.Pages > 0);
            RestoreResult restore = new RestoreOperation(new RestoreOptions { ImagesDirectory = target.Images }).Run();
            Assert.Equal(target.Pid, restore.Id);
            if (quiet)
            {
                string difference = ProcSnapshot.Difference(before, ProcSnapshot.Of(target.Pid));
                Assert.True(difference == "", $"{target.Said}\n{difference}");
            }
        }

        Assert.Equal("ok", target.Finish());
    }

    [Fact]
    public void A_target_that_is_left_running_does_not_notice_its_dump()
    {
        using Target target = Target.Start("waits");
        for (int round = 0; round < 10; round++)
        {
            Dump(target, FinalState.Run);
        }

        Assert.Equal("ok", target.Finish());
    }

    [Fact]
    public void A_pid_in_use_is_an_error_and_the_one_who_has_it_lives_on()
    {
        using Target target = Target.Start("guards");
        Dump(target, FinalState.Run);
        RestoreOperation restore = new(new RestoreOptions { ImagesDirectory = target.Images });
        Assert.Equal("PidInUse", Assert.Throws<CriuException>(() => restore.Run()).Id);
        Assert.Equal("ok", target.Finish());
    }

    [Fact]
    public void A_short_pages_file_is_an_error_before_anything_is_started()
    {
        using Target target = Target.Start("guards");
        Dump(target, FinalState.Kill);
        using (FileStream pages = File.OpenWrite(Path.Join(target.Images, "pages-1.img")))
        {
            pages.SetLength(pages.Length - 4096);
        }

        Assert.ThrowsAny<CriuException>(() => new RestoreOperation(new RestoreOptions { ImagesDirectory = target.Images }).Run());
    }

    private static DumpResult Dump(Target target, FinalState state) =>
        new DumpOperation(new DumpOptions { Pid = target.Pid, ImagesDirectory = target.Images, FinalState = state, Force = true, FileLocks = true }).Run();
}
