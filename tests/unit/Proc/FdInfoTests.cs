using System.Text;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Proc;
using Xunit;

namespace CriuPS.Tests.Proc;

public sealed class FdInfoTests
{
    private const string Common = "pos:\t-3\nflags:\t02100002\nmnt_id:\t27\nino:\t1030\n";
    private const long End = long.MaxValue;

    [Fact]
    public void Every_descriptor_has_the_common_lines()
    {
        FdInfo info = Parse("");

        Assert.Equal((-3L, 0x88002u, 27, (ulong?)1030), (info.Position, info.Flags, info.MountId, info.Inode));
        Assert.Null(FdInfo.Parse("pos:\t0\nflags:\t00\nmnt_id:\t1\n"u8).Inode);
    }

    [Fact]
    public void Lines_of_kinds_that_are_not_known_are_kept()
    {
        FdInfo info = Parse("tty-index:\t7\nSqMask:\t0x7\nCqOverflowList:\n  user_data=5, res=0, flags=0\npos:\t99\n");

        Assert.Equal("7", info.FindOther("tty-index"u8)?.ToString());
        Assert.Null(info.FindOther("tty"u8));
        Assert.Contains(new OsText("  user_data=5, res=0, flags=0"), info.OtherLines);
        Assert.Equal(-3, info.Position);
    }

    [Theory]
    [InlineData("eventfd-count: ffffffffffffffff\n", ulong.MaxValue, null, null)]
    [InlineData("eventfd-count:               10\neventfd-id: 3\neventfd-semaphore: 1\n", 16ul, 3, true)]
    public void Eventfd(string text, ulong count, int? id, bool? semaphore) =>
        Assert.Equal(new EventFdState(count, id, semaphore), Parse(text).EventFd);

    [Fact]
    public void Timerfd()
    {
        FdInfo info = Parse("clockid: 7\nticks: 12\nsettime flags: 03\nit_value: (49406829, 1)\nit_interval: (0, 999999999)\nlater: 1\n");

        Assert.Equal(new TimerFdState(7, 12, 3, new(49406829, 1), new(0, 999999999)), info.TimerFd);
        Assert.Single(info.OtherLines);
    }

    [Theory]
    [InlineData("Pid:\t26396\nNSpid:\t26396\t12\t1\n", 26396, new[] { 26396, 12, 1 })]
    [InlineData("Pid:\t-1\nNSpid:\t-1\n", -1, new[] { -1 })]
    [InlineData("Pid:\t0\nNSpid:\t0\n", 0, new[] { 0 })]
    public void Pidfd(string text, int pid, int[] pids)
    {
        PidFdState state = Parse(text).PidFd!;

        Assert.Equal(pid, state.Pid);
        Assert.Equal(pids, state.NamespacePids);
    }

    [Fact]
    public void Epoll()
    {
        FdInfo info = Parse(
            "tfd:        5 events: 80000019 data: fedcba9876543210  pos:-1 ino:a50c sdev:f\n"
            + "tfd:  1234567 events:        0 data:                0  pos:0 ino:ffffffff sdev:fe00001\n"
            + "tfd:        6 events:       19 data:                6\n");

        Assert.Equal(
            [
                new EpollTarget(5, 0x80000019, 0xfedcba9876543210, -1, 0xa50c, 15),
                new EpollTarget(1234567, 0, 0, 0, 0xffffffff, 0xfe00001),
                new EpollTarget(6, 0x19, 6, 0, null, 0),
            ],
            info.EpollTargets);
    }

    [Fact]
    public void Inotify()
    {
        FdInfo info = Parse(
            "inotify wd:2 ino:13 sdev:fe00000 mask:2 ignored_mask:0 fhandle-bytes:8 fhandle-type:1 f_handle:1300000000000000\n"
            + "inotify wd:1 ino:3c570 sdev:15 mask:800afce ignored_mask:0 \n");

        Assert.Equal(
            [
                new InotifyWatch(2, 0x13, 0xfe00000, 2, 0, new FileHandle(1, [0x13, 0, 0, 0, 0, 0, 0, 0])),
                new InotifyWatch(1, 0x3c570, 0x15, 0x800afce, 0, null),
            ],
            info.InotifyWatches);
    }

    [Fact]
    public void Fanotify()
    {
        FdInfo info = Parse(
            "fanotify flags:10 event-flags:8000\n"
            + "fanotify sdev:fe00000 mflags:1 mask:2 ignored_mask:0\n"
            + "fanotify mnt_id:16 mflags:0 mask:3b ignored_mask:40000000\n"
            + "fanotify mnt_ns:4026531832 mflags:0 mask:1000000 ignored_mask:0\n"
            + "fanotify ino:3c570 sdev:fe00000 mflags:0 mask:2 ignored_mask:0 fhandle-bytes:8 fhandle-type:1 f_handle:70c5030000000000\n");

        Assert.Equal(new FanotifyGroup(0x10, 0x8000), info.Fanotify);
        Assert.Equal(
            [
                new FanotifyMark(FanotifyMarkKind.FileSystem, 0, 0xfe00000, 1, 2, 0, null),
                new FanotifyMark(FanotifyMarkKind.Mount, 0x16, 0, 0, 0x3b, 0x40000000, null),
                new FanotifyMark(FanotifyMarkKind.MountNamespace, 4026531832, 0, 0, 0x1000000, 0, null),
                new FanotifyMark(
                    FanotifyMarkKind.Inode, 0x3c570, 0xfe00000, 0, 2, 0, new FileHandle(1, [0x70, 0xc5, 3, 0, 0, 0, 0, 0])),
            ],
            info.FanotifyMarks);
    }

    [Fact]
    public void Locks()
    {
        FdInfo info = Parse(
            "lock:\t1: FLOCK  ADVISORY  WRITE 26396 fe:00:11657458 0 EOF\n"
            + "lock:\t2: POSIX  ADVISORY  READ 0 fe:1f:18446744073709551615 5 14\n"
            + "lock:\t3: OFDLCK ADVISORY  WRITE -1 00:15:1 100 9223372036854775806\n"
            + "lock:\t4: LEASE  ACTIVE    READ 26396 fe:00:11657479 0 EOF\n"
            + "lock:\t5: LEASE  BREAKING  UNLCK 26396 fe:00:11657479 0 EOF\n");

        Assert.Equal(
            [
                new FileLock(1, false, FileLockKind.Flock, FileLockType.Write, LeaseState.Active, 26396, 0xfe, 0, 11657458, 0, End),
                new FileLock(2, false, FileLockKind.Posix, FileLockType.Read, LeaseState.Active, 0, 0xfe, 0x1f, ulong.MaxValue, 5, 14),
                new FileLock(
                    3, false, FileLockKind.OpenFileDescription, FileLockType.Write, LeaseState.Active, -1, 0, 0x15, 1, 100, End - 1),
                new FileLock(4, false, FileLockKind.Lease, FileLockType.Read, LeaseState.Active, 26396, 0xfe, 0, 11657479, 0, End),
                new FileLock(5, false, FileLockKind.Lease, FileLockType.Unlock, LeaseState.Breaking, 26396, 0xfe, 0, 11657479, 0, End),
            ],
            info.Locks);
    }

    [Fact]
    public void Waiting_locks_are_marked()
    {
        List<FileLock> locks = FileLock.ParseFile(
            "1: FLOCK  ADVISORY  WRITE 5 fe:00:9 0 EOF\n1: -> FLOCK  ADVISORY  WRITE 6 fe:00:9 0 EOF\n"u8);

        Assert.Equal([(1L, false, 5), (1L, true, 6)], locks.Select(l => (l.Id, l.Waiting, l.Pid)));
    }

    [Theory]
    [InlineData("lock:\t1: FLOCK  ADVISORY  WRITE 26396 fe:00:11657458 0\n")]
    [InlineData("lock:\t1: UNKNOWN UNKNOWN  WRITE 26396 fe:00:11657458 0 EOF\n")]
    [InlineData("lock:\t1: FLOCK  ADVISORY  WRITE 26396 <none>:0 0 EOF\n")]
    [InlineData("eventfd-count: \n")]
    [InlineData("eventfd-count: 10000000000000000\n")]
    [InlineData("sigmask:\tx\n")]
    [InlineData("clockid: 1\nticks: 0\n")]
    [InlineData("clockid: 1\nticks: 0\nsettime flags: 01\nit_value: 1, 2\nit_interval: (0, 0)\n")]
    [InlineData("Pid:\tx\n")]
    [InlineData("tfd: 5 events: 19\n")]
    [InlineData("inotify wd:1 ino:1\n")]
    [InlineData("inotify wd:2 ino:13 sdev:fe00000 mask:2 ignored_mask:0 fhandle-bytes:8 fhandle-type:1 f_handle:13\n")]
    [InlineData("inotify wd:2 ino:13 sdev:fe00000 mask:2 ignored_mask:0 fhandle-bytes:1 fhandle-type:1 f_handle:1x\n")]
    [InlineData("fanotify flags:1\n")]
    [InlineData("fanotify inode:1 mflags:0 mask:0 ignored_mask:0\n")]
    public void Malformed_lines_are_errors(string text)
    {
        var error = Assert.Throws<CriuException>(() => Parse(text));

        Assert.Equal("MalformedProc", error.Id);
        Assert.Contains("/proc/1/fdinfo/3", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("flags:\t0\npos:\t0\nmnt_id:\t1\n")]
    [InlineData("pos:\t0\nflags:\t08\nmnt_id:\t1\n")]
    [InlineData("pos:\t0\nflags:\t0\n")]
    public void Missing_common_lines_are_errors(string text) =>
        Assert.Equal("MalformedProc", Assert.Throws<CriuException>(() => FdInfo.Parse(Encoding.UTF8.GetBytes(text))).Id);

    private static FdInfo Parse(string text) => FdInfo.Parse(Encoding.UTF8.GetBytes(Common + text), new ProcSource("/proc/1/fdinfo/3", 1));
}
