using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;
using Microsoft.Win32.SafeHandles;
using Xunit;

namespace CriuPS.Tests.Kernel;

/// <summary>What the kernel's memory tells of open files must be what fdinfo tells; where it tells nothing, fdinfo is read.</summary>
public sealed class FileStructsTests : IDisposable
{
    private readonly string _path = Path.GetTempFileName();
    private readonly List<SafeFileHandle> _files = [];

    [Fact]
    public void It_tells_what_fdinfo_tells_and_says_where_that_tells_more()
    {
        using FileStructs? structs = FileStructs.TryPrepare();
        Assert.SkipWhen(structs is null, "this kernel, or this user, has no iterators of bpf(2)");
        OpenSome();
        IReadOnlyDictionary<int, FileStructs.Facts> facts = structs.TryAsk(Environment.ProcessId)!;
        using ProcDirectory self = new(Environment.ProcessId);
        Assert.All(_files, file =>
        {
            int fd = (int)file.DangerousGetHandle();
            FdInfo told = FdInfo.Read(self, fd);
            FileStructs.Facts known = facts[fd];
            Assert.Equal((told.Position, told.Flags, told.MountId, told.Inode), (known.Position, known.Flags, known.Mount, known.Inode));
            Assert.True(known.ShowsMore || (told.EventFd is null && told.TimerFd is null && told.SignalMask is null && told.OtherLines.Count == 0), $"fd {fd}");
            Assert.True(known.MayHaveLocks || told.Locks.Count == 0, $"fd {fd}");
            if (told.EventFd is { } state)
            {
                Assert.Equal(state, FdInfo.Of(known, state with { Count = 0 }).EventFd);
            }
        });
    }

    [Fact]
    public void Descriptors_of_one_open_file_have_one_address()
    {
        using FileStructs? structs = FileStructs.TryPrepare();
        Assert.SkipWhen(structs is null, "this kernel, or this user, has no iterators of bpf(2)");
        SafeFileHandle first = Add(File.OpenHandle(_path)), copy = Add(Fcntl.Duplicate(first)), other = Add(File.OpenHandle(_path));
        IReadOnlyDictionary<int, FileStructs.Facts> facts = structs.TryAsk(Environment.ProcessId)!;
        Assert.Equal(AddressOf(first), AddressOf(copy));
        Assert.NotEqual(AddressOf(first), AddressOf(other));
        ulong AddressOf(SafeFileHandle file) => facts[(int)file.DangerousGetHandle()].Address;
    }

    [Fact]
    public void Who_is_told_of_a_file_is_never_overlooked()
    {
        using FileStructs? structs = FileStructs.TryPrepare();
        Assert.SkipWhen(structs is null, "this kernel, or this user, has no iterators of bpf(2)");
        (SafeFileHandle read, SafeFileHandle write) = Fcntl.Pipe(0);
        const int F_SETOWN = 8;
        Fcntl.Control(Add(read), F_SETOWN, Environment.ProcessId);
        Add(write);
        Assert.True(structs.TryAsk(Environment.ProcessId)![(int)read.DangerousGetHandle()].MayHaveOwner);
    }

    public void Dispose()
    {
        _files.ForEach(file => file.Dispose());
        File.Delete(_path);
    }

    [Fact]
    public void An_empty_pipe_and_its_size_are_told_from_one_that_holds_something()
    {
        using FileStructs? structs = FileStructs.TryPrepare();
        Assert.SkipWhen(structs is null, "this kernel, or this user, has no iterators of bpf(2)");
        (SafeFileHandle read, SafeFileHandle write) = Fcntl.Pipe(0);
        Fcntl.Control(Add(read), Fcntl.F_SETPIPE_SZ, 1 << 18);
        Assert.Equal((1 << 18, true), PipeOf(write));
        Fcntl.Write(Add(write), "x"u8);
        Assert.Equal((1 << 18, false), PipeOf(read));
        Fcntl.Control(read, Fcntl.F_SETPIPE_SZ, 4096);
        Assert.Equal((4096, false), PipeOf(read));
        FileRead.Read(read, new byte[10]);
        Assert.Equal((4096, true), PipeOf(read));
        (long, bool) PipeOf(SafeFileHandle end) => structs.TryAsk(Environment.ProcessId)![(int)end.DangerousGetHandle()].Pipe;
    }

    private void OpenSome()
    {
        SafeFileHandle named = Add(File.OpenHandle(_path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite));
        Fcntl.Seek(named, 12345);
        foreach (int flags in (int[])[Fcntl.O_RDONLY, Fcntl.O_WRONLY | Fcntl.O_APPEND, Fcntl.O_RDWR | Fcntl.O_NONBLOCK, Fcntl.O_PATH])
        {
            Add(OpenAt.Open(_path, flags));
        }

        Add(OpenAt.Open("/", Fcntl.O_RDONLY | Fcntl.O_DIRECTORY));
        Add(OpenAt.Open("/dev/null", Fcntl.O_RDWR));
        Add(OpenAt.Open("/proc/self/status", Fcntl.O_RDONLY));
        (SafeFileHandle read, SafeFileHandle write) = Fcntl.Pipe(Fcntl.O_NONBLOCK);
        Fcntl.Control(Add(read), 2, 0);
        Add(write);
        Add(EventFiles.EventFd(77, 0));
        Add(EventFiles.EventFd(5, EventFiles.EFD_SEMAPHORE));
        Add(EventFiles.TimerFd(1, 0));
        Add(EventFiles.SignalFd(0xff, 0));
        Add(EventFiles.Epoll());
        Add(PidFd.Open(Environment.ProcessId));

        // So many that a number's bit of close-on-exec is not in the first word.
        for (int i = 0; i < 150; i++)
        {
            SafeFileHandle copy = Add(Fcntl.Duplicate(named));
            Fcntl.Control(copy, Fcntl.F_SETFD, i % 3 == 0 ? Fcntl.FD_CLOEXEC : 0);
        }
    }

    private SafeFileHandle Add(SafeFileHandle file)
    {
        _files.Add(file);
        return file;
    }
}
