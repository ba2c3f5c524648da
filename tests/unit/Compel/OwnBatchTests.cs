using CriuPS.Engine.Compel;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using Xunit;

namespace CriuPS.Tests.Compel;

public sealed class OwnBatchTests
{
    [Fact]
    public void Calls_use_what_earlier_ones_left()
    {
        OwnBatch batch = new();
        SyscallProgram program = batch.Room(4, 64);
        ulong ends = program.Reserve(2 * sizeof(int));
        program.Add("pipe2", SyscallNumber.pipe2, ends, 0);
        Operation copy = program.Add("dup", SyscallNumber.dup, Argument.Int32(ends + sizeof(int)));
        Operation written = program.Add("write", SyscallNumber.write, copy, program.Put("some"u8), 4);
        long count = 0;
        int[] numbers = [];
        batch.Then(answers => (count, numbers) = (answers.Result(written), [answers.Read<int>(ends), answers.Read<int>(ends + sizeof(int)), (int)answers.Result(copy)]));
        batch.Run();
        Assert.Equal(4, count);
        Assert.All(numbers, number => Assert.Equal(0, Syscall.Invoke(SyscallNumber.close, number)));
    }

    [Fact]
    public void More_than_fits_runs_in_parts()
    {
        OwnBatch batch = new();
        int answers = 0;
        for (int i = 0; i < 5000; i++)
        {
            batch.Add("getpid", SyscallNumber.getpid);
            batch.Then(_ => answers++);
        }

        batch.Run();
        Assert.Equal(5000, answers);
    }

    [Fact]
    public void A_call_that_fails_is_named_and_those_after_it_are_not_made()
    {
        OwnBatch batch = new();
        SyscallProgram program = batch.Room(3, 16);
        program.Try("close of nothing", SyscallNumber.close, -1);
        program.Add("dup of nothing", SyscallNumber.dup, -1);
        ulong ends = program.Reserve(2 * sizeof(int));
        program.Add("pipe2", SyscallNumber.pipe2, ends, 0);
        KernelException e = Assert.Throws<KernelException>(batch.Run);
        Assert.Equal(Errno.EBADF, e.Errno);
        Assert.Contains("dup of nothing", e.Message);
        Assert.Equal(0, program.Read<int>(ends));
    }
}
