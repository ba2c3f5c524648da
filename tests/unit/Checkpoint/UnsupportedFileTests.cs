using CriuPS.Engine.Dump;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Options;
using CriuPS.Engine.Restore;
using Xunit;

namespace CriuPS.Tests.Checkpoint;

/// <summary>Open files that cannot be saved: they are named before anything is touched, or something else takes their places.</summary>
public sealed class UnsupportedFileTests
{
    private static readonly string[] s_links =
        ["anon_inode:[perf_event]", "anon_inode:bpf-prog", "anon_inode:bpf_link", "anon_inode:btf", "anon_inode:bpf-map"];

    [Fact]
    public void Each_is_named_with_process_number_and_link()
    {
        using Target target = Target.Start("kernel_facilities");
        IReadOnlyList<Refusal> refusals = new DumpOperation(Options(target, UnsupportedFiles.Fail)).Preflight();
        Assert.Equal(s_links.Select((link, i) => $"fd {FirstOf(target) + i} -> {link}"), refusals.Select(r => r.Subject));
        Assert.All(refusals, r => Assert.Equal(target.Pid, r.Pid));
        Assert.All(refusals, r => Assert.Contains("-UnsupportedFile", r.Remedy));
        Assert.Contains("perf event", refusals[0].Reason);
        Assert.All(refusals.Skip(1), r => Assert.Contains("BPF", r.Reason));

        RefusedException refused = Assert.Throws<RefusedException>(() => new DumpOperation(Options(target, UnsupportedFiles.Fail)).Run());
        Assert.Equal(refusals, refused.Refusals);
        Assert.False(Directory.Exists(target.Images));
        Assert.Equal("ok", target.Finish());
        Assert.Equal(s_links, Seen(target));
    }

    [Theory]
    [InlineData(UnsupportedFiles.Close, "closed")]
    [InlineData(UnsupportedFiles.Null, "/dev/null")]
    public void Something_else_takes_their_places(UnsupportedFiles choice, string found)
    {
        using Target target = Target.Start("kernel_facilities");
        DumpResult dump = new DumpOperation(Options(target, choice)).Run();
        Assert.Equal(s_links, dump.ReplacedFiles.Select(r => r.Subject.Split(" -> ")[1]));
        new RestoreOperation(new RestoreOptions { ImagesDirectory = target.Images }).Run();
        Assert.Equal("ok", target.Finish());
        Assert.Equal(s_links.Select(_ => found), Seen(target));
    }

    [Fact]
    public void Memory_is_not_left_alone_by_the_file_that_watches_over_it()
    {
        using Target target = Target.Start("watched_memory", "MARKS=1");
        Refusal file = Assert.Single(new DumpOperation(Options(target, UnsupportedFiles.Fail)).Preflight());
        Assert.Contains("userfaultfd", file.Subject);
        Assert.Contains("UFFD_FEATURE_WP_UNPOPULATED", file.Reason);
        Refusal memory = Assert.Single(new DumpOperation(Options(target, UnsupportedFiles.Close)).Preflight());
        Assert.StartsWith("mapping ", memory.Subject);
        Assert.Contains("registered with a userfaultfd", memory.Reason);
        Assert.Equal("ok", target.Finish());
    }

    private static DumpOptions Options(Target target, UnsupportedFiles choice) =>
        new() { Pid = target.Pid, ImagesDirectory = target.Images, UnsupportedFiles = choice };

    // After "ready", and before the verdict.
    private static string[] Seen(Target target) => target.Said.Trim().Split('\n')[1..^1];

    private static int FirstOf(Target target) => Directory.GetFiles($"/proc/{target.Pid}/fd")
        .Where(fd => new FileInfo(fd).LinkTarget == s_links[0]).Select(fd => int.Parse(Path.GetFileName(fd))).Single();
}
