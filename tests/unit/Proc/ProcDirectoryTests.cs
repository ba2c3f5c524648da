using CriuPS.Engine.Errors;
using CriuPS.Engine.Proc;
using Xunit;

namespace CriuPS.Tests.Proc;

public sealed class ProcDirectoryTests
{
    [Fact]
    public void A_process_that_never_was_is_gone()
    {
        var error = Assert.Throws<CriuException>(() => new ProcDirectory(int.MaxValue));

        Assert.Equal(("ProcessGone", CriuErrorKind.NotFound, (int?)int.MaxValue), (error.Id, error.Kind, error.Pid));
    }

    [Fact]
    public void A_task_that_never_was_is_gone()
    {
        Assert.Equal("ProcessGone", Assert.Throws<CriuException>(() => new ProcDirectory(Environment.ProcessId, 1)).Id);
        using var self = new ProcDirectory(Environment.ProcessId);
        Assert.Equal("ProcessGone", Assert.Throws<CriuException>(() => self.OpenTask(1)).Id);
    }

    [Fact]
    public void A_process_that_ends_is_noticed_by_every_reader()
    {
        using var child = new HostileChild();
        using PageMap pageMap = PageMap.Open(child.Proc);
        Assert.True(child.Proc.Exists);
        child.End();

        Assert.False(child.Proc.Exists);
        Action[] readers =
        [
            () => ProcStat.Read(child.Proc), () => ProcMaps.Read(child.Proc), () => ProcDescriptors.List(child.Proc),
            () => ProcAttributes.ReadExe(child.Proc), () => ProcTasks.ListChildren(child.Proc), () => NamespaceLink.Read(child.Proc),
            () => FdInfo.Read(child.Proc, 0), () => MountInfo.Read(child.Proc), () => ProcLimits.Read(child.Proc),
        ];
        Assert.All(readers, read => Assert.Equal("ProcessGone", Assert.Throws<CriuException>(read).Id));
    }

    [Fact]
    public void A_missing_file_is_no_missing_process()
    {
        using var self = new ProcDirectory(Environment.ProcessId);
        var error = Assert.Throws<CriuException>(() => self.ReadBytes("no-such-file"));

        Assert.Equal(("ProcFileMissing", CriuErrorKind.NotSupported), (error.Id, error.Kind));
        Assert.Contains($"/proc/{Environment.ProcessId}/no-such-file", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_malformed_file_is_named_with_its_process()
    {
        using var self = new ProcDirectory(Environment.ProcessId);
        var error = Assert.Throws<CriuException>(() => self.Parse("comm", ProcStat.Parse));

        Assert.Equal(("MalformedProc", (int?)Environment.ProcessId), (error.Id, error.Pid));
        Assert.Contains($"/proc/{Environment.ProcessId}/comm", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Long_files_are_read_whole()
    {
        using var self = new ProcDirectory(Environment.ProcessId);

        Assert.Equal(File.ReadAllBytes("/proc/self/environ"), self.ReadBytes("environ"));
        Assert.True(ProcMaps.Read(self).Count > 200);
    }

    [Fact]
    public void A_disposed_directory_is_refused()
    {
        var self = new ProcDirectory(Environment.ProcessId);
        self.Dispose();

        Assert.Throws<ObjectDisposedException>(() => ProcStat.Read(self));
    }
}
