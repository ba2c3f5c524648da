using System.Runtime.InteropServices;
using System.Text;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using Xunit;

namespace CriuPS.Tests.Kernel;

public sealed class SyscallTests
{
    [Fact]
    public void A_result_is_passed_through() => Assert.Equal(Environment.ProcessId, Syscall.Invoke(SyscallNumber.getpid));

    [Fact]
    public void An_error_is_minus_its_number() => Assert.Equal(-Errno.EBADF, Syscall.Invoke(SyscallNumber.close, -1));

    [Fact]
    public void An_unknown_call_is_ENOSYS() => Assert.Equal(-Errno.ENOSYS, Syscall.Invoke(100_000));

    [Fact]
    public unsafe void All_six_arguments_arrive()
    {
        // mmap takes six, and each of them shows: the last is the offset at which the file is mapped.
        string path = Path.GetTempFileName();
        try
        {
            File.WriteAllBytes(path, [.. new byte[4096], .. "second page"u8]);
            using FileStream file = File.OpenRead(path);
            long address = Syscall.Invoke(SyscallNumber.mmap, 0, 4096, 1, 2, file.SafeFileHandle.DangerousGetHandle(), 4096);
            Assert.False(Syscall.IsError(address), $"mmap returned {address}");
            Assert.Equal("second page", Encoding.ASCII.GetString(new ReadOnlySpan<byte>((void*)address, 11)));
            Assert.Equal(0, Syscall.Invoke(SyscallNumber.munmap, address, 4096));
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Theory]
    [InlineData(0, false)]
    [InlineData(1, false)]
    [InlineData(-1, true)]
    [InlineData(-4095, true)]
    [InlineData(-4096, false)]
    [InlineData(long.MinValue, false)]
    public void The_last_page_of_numbers_means_errors(long result, bool error) => Assert.Equal(error, Syscall.IsError(result));

    [Fact]
    public void Check_gives_a_good_result_and_makes_no_text_for_it()
    {
        Assert.Equal(7, Syscall.Check(7, () => throw new InvalidOperationException("the text of a call that succeeded was made")));
        Assert.Equal(7, Syscall.Check(7, "call"));
    }

    [Fact]
    public void Check_throws_on_an_error()
    {
        KernelException lazily = Assert.Throws<KernelException>(() => Syscall.Check(-Errno.ESRCH, () => "kill(1)"));
        Assert.Equal(("kill(1)", Errno.ESRCH), (lazily.Call, lazily.Errno));
        KernelException plainly = Assert.Throws<KernelException>(() => Syscall.Check(-Errno.EPERM, "kill(2)"));
        Assert.Equal(("kill(2)", Errno.EPERM), (plainly.Call, plainly.Errno));
    }

    [Fact]
    public void Numbers_are_those_of_the_processor_the_tests_run_on() => Assert.Equal(Architecture.X64, RuntimeInformation.ProcessArchitecture);
}
