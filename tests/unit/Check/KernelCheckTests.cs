using CriuPS.Engine.Check;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using Xunit;

namespace CriuPS.Tests.Check;

/// <summary>What the check says of this kernel, and what it makes of features that fail in all ways.</summary>
public sealed class KernelCheckTests
{
    // The names that criu check --feature of CRIU 4.2 takes.
    private const string CriuNames = """
        mnt_id mem_dirty_track aio_remap timerfd tun tun_ns userns fdinfo_lock seccomp_suspend seccomp_filters loginuid cgroupns autofs
        tcp_half_closed compat_cr uffd uffd-noncoop can_map_vdso sk_ns sk_unix_file net_diag_raw nsid link_nsid kcmp_epoll timens
        external_net_ns clone3_set_tid newifindex nftables has_ipt_legacy pidfd_store ns_pid apparmor_stacking network_lock_nftables
        sockopt_buf_lock memfd_hugetlb move_mount_set_group openat2 get_rseq_conf ipv6_freebind pagemap_scan timer_cr_ids overlayfs_maps
        breakpoints pagemap_scan_guard_pages
        """;

    [Fact]
    public void All_names_of_CRIU_are_known_and_no_name_is_there_twice()
    {
        Assert.Equal(CriuNames.Split([' ', '\n'], StringSplitOptions.RemoveEmptyEntries).Order(), KernelCheck.CriuNames.Order());
        Assert.Equal(KernelCheck.Names.Count, KernelCheck.Names.Distinct().Count());
    }

    [Fact]
    public void Everything_is_tried_and_what_is_required_works_where_these_tests_run()
    {
        IReadOnlyList<KernelFeature> all = KernelCheck.Run();
        Assert.Equal(KernelCheck.Names, all.Select(one => one.Name));
        Assert.DoesNotContain(all, one => one.Required && !one.Supported);
        Assert.All(all, one => Assert.Equal(one.Supported, one.Remedy is null));
        Assert.All(all, one => Assert.NotEmpty(one.Detail));
        Assert.All(all, one => Assert.NotEmpty(one.NeededFor));
    }

    [Fact]
    public void Only_what_is_asked_for_is_tried_in_the_order_of_the_list()
    {
        Assert.Equal(["kcmp", "uffd"], KernelCheck.Run(["uffd", "kcmp"]).Select(one => one.Name));
        Assert.Equal(["autofs", "compat_cr"], KernelCheck.RunCategories([FeatureCategory.Experimental]).Select(one => one.Name));
        Assert.NotEmpty(KernelCheck.RunRequired());
        Assert.All(KernelCheck.RunRequired(), one => Assert.True(one.Required));
    }

    [Fact]
    public void A_name_that_does_not_exist_is_an_error_that_names_one_that_does()
    {
        CriuException unknown = Assert.Throws<CriuException>(() => KernelCheck.Run(["uffd", "tracking_of_uffd"]));
        Assert.Equal("UnknownFeature", unknown.Id);
        Assert.Equal("tracking_of_uffd", unknown.Subject);
        Assert.Contains("uffd", unknown.Remedy);
    }

    [Fact]
    public void A_cancelled_check_tries_nothing()
    {
        Feature[] trap = [Fake(_ => throw new InvalidOperationException("tried"))];
        Assert.Throws<OperationCanceledException>(() => KernelCheck.Run(trap, new CancellationToken(canceled: true)));
    }

    [Fact]
    public void What_the_kernel_refuses_is_told_with_the_privilege_that_would_help()
    {
        KernelFeature denied = Try(_ => Answer.Of("call", -Errno.EPERM));
        Assert.False(denied.Supported);
        Assert.StartsWith("call failed: EPERM", denied.Detail);
        Assert.Contains("CAP_TEST", denied.Remedy);
        KernelFeature missing = Try(_ => Answer.Of("call", -Errno.ENOSYS));
        Assert.Contains("Linux 99", missing.Remedy);
        Assert.DoesNotContain("CAP_TEST", missing.Remedy);
    }

    [Fact]
    public void An_exception_of_the_engine_is_an_answer()
    {
        KernelFeature broken = Try(_ => throw new KernelException("preparation", Errno.EACCES));
        Assert.False(broken.Supported);
        Assert.StartsWith("preparation failed: EACCES", broken.Detail);
        Assert.Contains("CAP_TEST", broken.Remedy);
    }

    [Fact]
    public void A_call_without_its_effect_is_not_support() => Assert.False(Try(_ => Answer.Of("call", works: false)).Supported);

    [Fact]
    public void A_child_that_dies_is_replaced()
    {
        int first = 0, second = 0;
        KernelFeature[] found = KernelCheck.Run(
            [
                Fake(bench => Answer.Of("exit", Die(bench.Child, out first))),
                Fake(bench => Answer.Of("getpid", (second = bench.Child.Pid) == bench.Child.Call(SyscallNumber.getpid))),
            ],
            CancellationToken.None);
        Assert.False(found[0].Supported);
        Assert.True(found[1].Supported);
        Assert.NotEqual(first, second);
        Assert.False(Signals.Exists(first));
        Assert.False(Signals.Exists(second));
    }

    [Fact]
    public void A_probe_finds_no_descriptor_of_an_earlier_one()
    {
        long[] numbers = [-1, -1];
        Feature Opens(int i) => Fake(bench => Answer.Of("eventfd2", numbers[i] = bench.Child.Call(SyscallNumber.eventfd2, 0, 0)));
        Assert.All(KernelCheck.Run([Opens(0), Opens(1)], CancellationToken.None), one => Assert.True(one.Supported));
        Assert.Equal([0, 0], numbers);
    }

    private static long Die(ProbeChild child, out int pid)
    {
        pid = child.Pid;
        return child.Call(SyscallNumber.exit_group, 1);
    }

    private static KernelFeature Try(Func<ProbeBench, Answer> probe) => KernelCheck.Run([Fake(probe)], CancellationToken.None)[0];

    private static Feature Fake(Func<ProbeBench, Answer> probe) =>
        new("fake", FeatureCategory.Engine, probe) { NeededFor = "tests", Since = "Linux 99", Privilege = "CAP_TEST" };
}
