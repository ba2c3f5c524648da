using CriuPS.Engine.Errors;
using CriuPS.Engine.Proc;
using Xunit;

namespace CriuPS.Tests.Proc;

/// <summary>What the readers make of a real process that does its best to mislead them.</summary>
public sealed class HostileProcessTests(HostileChild child) : IClassFixture<HostileChild>
{
    private const string Name = "a) R 1 (";

    [Fact]
    public void The_name_is_the_same_in_stat_status_and_comm()
    {
        ProcStat stat = ProcStat.Read(child.Proc);

        Assert.Equal(Name, stat.Comm.ToString());
        Assert.Equal(Name, ProcStatus.Read(child.Proc).Name.ToString());
        Assert.Equal(Name, ProcAttributes.ReadComm(child.Proc).ToString());
        Assert.Equal((child.Pid, Environment.ProcessId, 'S', 2), (stat.Pid, stat.ParentPid, stat.State, stat.Threads));
    }

    [Fact]
    public void A_name_with_a_newline_is_read_from_each_file()
    {
        int tid = child.Number("tid");
        Assert.Equal([child.Pid, tid], ProcTasks.List(child.Proc));
        using ProcDirectory task = child.Proc.OpenTask(tid);

        Assert.Equal("x\ny) Z 1 (", ProcStat.Read(task).Comm.ToString());
        Assert.Equal("x\ny) Z 1 (", ProcStatus.Read(task).Name.ToString());
        Assert.Equal("x\ny) Z 1 (", ProcAttributes.ReadComm(task).ToString());
        Assert.Equal(tid, ProcStat.Read(task).Pid);
        Assert.Equal(-1, ProcStat.Read(task).ExitSignal);
    }

    [Fact]
    public void Status_tells_masks_ids_and_pids()
    {
        ProcStatus status = ProcStatus.Read(child.Proc);

        Assert.Equal((child.Pid, child.Pid, Environment.ProcessId), (status.Tid, status.ThreadGroup, status.ParentPid));
        Assert.Equal(0x17u, status.Umask);
        Assert.Equal(1ul, status.IgnoredSignals & 1);
        Assert.Equal(1ul << 9, status.CaughtSignals & (1ul << 9));
        Assert.Equal([child.Pid], status.NamespaceTids);
        Assert.Equal(ProcStatus.Read(new ProcDirectory(Environment.ProcessId)).Uid, status.Uid);
        Assert.Equal(2, status.Threads);
        Assert.True(status.ResidentSize > 0 && status.KernelThread != true);
    }

    [Theory]
    [InlineData("newline", "a\nb\\c")]
    [InlineData("literal", "literal\\012 name")]
    [InlineData("removed", "gone\n (deleted)")]
    [InlineData("suffix", "stays (deleted)")]
    public void Paths_of_mappings_and_descriptors_are_exact(string key, string name)
    {
        string path = Path.Combine(child.Workplace, name);
        Vma vma = ProcMaps.Read(child.Proc).Single(v => v.Start == child.Address("map-" + key));

        Assert.Equal(path, vma.Path.ToString());
        Assert.Equal((4096ul, true, VmaProtection.Read | VmaProtection.Write), (vma.Offset, vma.Shared, vma.Protection));
        Assert.Equal(path, MapFiles.ReadPath(child.Proc, vma).ToString());
        Assert.Equal(path, ProcDescriptors.ReadLink(child.Proc, child.Number("fd-" + key)).ToString());
        Assert.Equal(child.Descriptor(key).Inode, vma.Inode);
    }

    [Fact]
    public void Smaps_has_the_mappings_of_maps_and_their_flags()
    {
        List<SmapsEntry> smaps = ProcSmaps.Read(child.Proc);

        Assert.Equal(ProcMaps.Read(child.Proc), smaps.Select(e => e.Vma));
        SmapsEntry pages = smaps.Single(e => e.Vma.Start == child.Address("pages-private"));
        const VmFlags Wanted = VmFlags.Read | VmFlags.Write | VmFlags.NoHugePage;
        Assert.Equal(Wanted, pages.Flags & (Wanted | VmFlags.Shared));
        Assert.Equal((4096L, 3 * 4096L), (pages.PageSize, pages.Usage.Anonymous));
        Assert.Contains(smaps, e => e.Vma.Path.ToString() == "[stack]" && e.Flags.HasFlag(VmFlags.GrowsDown));
        Assert.All(smaps, e => Assert.True(e.UnknownFlags.IsEmpty, e.UnknownFlags.ToString()));
    }

    [Fact]
    public void Descriptors_tell_their_kind()
    {
        EventFdState eventFd = child.Descriptor("eventfd").EventFd!.Value;
        Assert.Equal((0x1234abcdul, false), (eventFd.Count, eventFd.Semaphore == true));
        Assert.Equal(2u | 0x800 | 0x80000, child.Descriptor("eventfd").Flags);
        EpollTarget target = child.Descriptor("epoll").EpollTargets.Single();
        Assert.Equal((child.Number("fd-pipe"), 0x80000019u, 0xfedcba9876543210ul), (target.Fd, target.Events, target.Data));
        Assert.Equal(child.Descriptor("pipe").Inode, target.Inode);
        Assert.Equal((1ul << 9) | (1ul << 63), child.Descriptor("signalfd").SignalMask);
        TimerFdState timer = child.Descriptor("timerfd").TimerFd!.Value;
        Assert.Equal((7, 0ul, 0u, new ProcTimeSpec(7, 8)), (timer.ClockId, timer.Ticks, timer.SetTimeFlags, timer.Interval));
        Assert.InRange(timer.Value.Seconds, 1ul, 5000ul);
        InotifyWatch watch = child.Descriptor("inotify").InotifyWatches.Single();
        Assert.Equal((1, 0x102u), (watch.Watch, watch.Mask));
        Assert.Equal(child.Pid, child.Descriptor("pidfd").PidFd!.Pid);
        Assert.Equal(0x200000u | 0x80000, child.Descriptor("path").Flags);
    }

    [Fact]
    public void A_locked_file_tells_position_and_locks()
    {
        FdInfo info = child.Descriptor("locked");

        Assert.Equal(77, info.Position);
        Assert.Equal(
            [(FileLockKind.Posix, 5L, 14L), (FileLockKind.Flock, 0L, long.MaxValue)],
            info.Locks.Select(l => (l.Kind, l.Start, l.Last)).Order());
        Assert.All(info.Locks, l => Assert.Equal((FileLockType.Write, child.Pid, info.Inode), (l.Type, l.Pid, (ulong?)l.Inode)));
        Assert.Contains(ProcRoot.ReadLocks(), l => l.Kind == FileLockKind.Posix && l.Inode == info.Inode && l.Last == 14);
    }

    [Fact]
    public void Timers_are_listed()
    {
        Assert.Equal(
            [
                new PosixTimer(0, 12, 0xabcd1234, TimerNotify.Signal, false, child.Pid, 1),
                new PosixTimer(1, 12, 0xabcd1234, TimerNotify.None, false, child.Pid, 0),
            ],
            PosixTimer.Read(child.Proc).OrderBy(t => t.Id));
        Assert.Equal(123456ul, ProcAttributes.ReadTimerSlack(child.Proc));
    }

    [Fact]
    public void Start_of_the_program_is_told()
    {
        string program = Path.Combine(Path.GetDirectoryName(child.Workplace)!, "hostile_names");

        Assert.Equal([program, child.Workplace], NulSeparated.ReadCommandLine(child.Proc).Select(a => a.ToString()));
        Assert.Contains("HOSTILE=new\nline=\\012", NulSeparated.ReadEnvironment(child.Proc).Select(e => e.ToString()));
        Assert.Equal(program, ProcAttributes.ReadExe(child.Proc)?.ToString());
        Assert.Equal(child.Workplace, ProcAttributes.ReadWorkingDirectory(child.Proc)?.ToString());
        Assert.Equal(4096ul, Auxv.Read(child.Proc).Single(e => e.Type == 6).Value);
        Assert.Contains(child.Pid, ProcTasks.ListChildren(new ProcDirectory(Environment.ProcessId)));
    }

    [Fact]
    public void Pages_are_told_apart()
    {
        using PageMap pageMap = PageMap.Open(child.Proc);
        var query = new PageQuery(
            PageCategories.Present | PageCategories.File | PageCategories.ZeroPage, AnyOf: PageCategories.Present | PageCategories.Swapped);
        ulong start = child.Address("pages-anonymous");

        List<PageRegion> regions = [];
        pageMap.Scan(start, start + 0x8000, query with { AllOf = PageCategories.Guard, Inverted = PageCategories.Guard }, regions);
        PageRegion[] expected = child.Number("zero-page") == 1
            ?
            [
                new PageRegion(start, start + 0x1000, PageCategories.Present),
                new PageRegion(start + 0x2000, start + 0x3000, PageCategories.Present | PageCategories.ZeroPage),
                new PageRegion(start + 0x3000, start + 0x5000, PageCategories.Present),
            ]
            :
            [
                new PageRegion(start, start + 0x1000, PageCategories.Present),
                new PageRegion(start + 0x2000, start + 0x5000, PageCategories.Present),
            ];
        Assert.Equal(expected, regions);
    }

    [Fact]
    public void Copied_pages_of_a_private_file_mapping_are_no_file_pages()
    {
        using PageMap pageMap = PageMap.Open(child.Proc);
        ulong start = child.Address("pages-private");
        const PageCategories PresentNoFile = PageCategories.Present | PageCategories.File;
        var query = new PageQuery(PageCategories.Present, AllOf: PresentNoFile, Inverted: PageCategories.File);

        List<PageRegion> regions = [];
        pageMap.Scan(start, start + 0x8000, query, regions);

        Assert.Equal([(start, start + 0x1000), (start + 0x3000, start + 0x5000)], regions.Select(r => (r.Start, r.End)));
    }

    [Theory]
    [InlineData("pages-anonymous")]
    [InlineData("pages-private")]
    public void Entries_say_what_the_scan_says(string key)
    {
        using PageMap pageMap = PageMap.Open(child.Proc);
        ulong start = child.Address(key);
        PageQuery[] queries =
        [
            new(PageMap.EntryCategories, PageCategories.Present | PageCategories.Swapped),
            new(PageCategories.Present | PageCategories.File, AllOf: PageCategories.Present),
            new(PageCategories.Guard, AllOf: PageCategories.Guard),
            new(PageCategories.None, AllOf: PageCategories.File, Inverted: PageCategories.File, AnyOf: PageCategories.Present),
        ];
        foreach (PageQuery query in queries)
        {
            List<PageRegion> scanned = [], read = [];
            pageMap.Scan(start, start + 0x8000, query, scanned);
            pageMap.ScanByEntries(start, start + 0x8000, query, read);
            Assert.Equal(scanned, read);
        }
    }

    [Fact]
    public void What_entries_cannot_tell_is_refused()
    {
        using PageMap pageMap = PageMap.Open(child.Proc);
        var error = Assert.Throws<CriuException>(() => pageMap.ScanByEntries(0, 4096, new PageQuery(PageCategories.ZeroPage), []));

        Assert.Equal("PagemapScanMissing", error.Id);
    }

    [Fact]
    public void A_descriptor_that_is_not_open_is_an_error()
    {
        var error = Assert.Throws<CriuException>(() => FdInfo.Read(child.Proc, 999));

        Assert.Equal(("ProcFileMissing", child.Pid), (error.Id, error.Pid));
    }
}
