using CriuPS.Assembler;
using CriuPS.Engine.Kernel;
using Iced.Intel;
using Xunit;

namespace CriuPS.Tests.Compel;

/// <summary>The only machine code that goes into other processes: what is in the built engine, and what it may do.</summary>
public sealed class InterpreterX64Tests
{
    private static readonly Mnemonic[] s_allowed =
    [
        Mnemonic.Lea, Mnemonic.Mov, Mnemonic.Movsxd, Mnemonic.Cmp, Mnemonic.Test, Mnemonic.Add, Mnemonic.Inc, Mnemonic.Dec, Mnemonic.Shr,
        Mnemonic.Or, Mnemonic.Imul, Mnemonic.Jmp, Mnemonic.Je, Mnemonic.Jne, Mnemonic.Jae, Mnemonic.Jb, Mnemonic.Syscall, Mnemonic.Int3,
    ];

    private static readonly byte[] s_code = Embedded();
    private static readonly Instruction[] s_instructions = Decode(s_code);

    [Fact]
    public void The_engine_carries_a_fresh_assembly() => Assert.Equal(InterpreterX64.Assemble(), s_code);

    [Fact]
    public void It_is_small() => Assert.InRange(s_code.Length, 1, 320);

    [Fact]
    public void It_has_only_the_instructions_it_needs()
    {
        Assert.Equal(s_code.Length, s_instructions.Sum(i => i.Length));
        Assert.Empty(s_instructions.Select(i => i.Mnemonic).Except(s_allowed));
        Assert.Empty(s_allowed.Except(s_instructions.Select(i => i.Mnemonic)));
    }

    [Fact]
    public void It_enters_the_kernel_at_two_places() => Assert.Equal(2, s_instructions.Count(i => i.Mnemonic == Mnemonic.Syscall));

    [Fact]
    public void It_touches_memory_only_through_its_own_pointers()
    {
        var factory = new InstructionInfoFactory();
        Register[] pointers = [Register.RBX, Register.RBP, Register.R13, Register.RAX];
        UsedMemory[] accesses = [.. s_instructions.SelectMany(i => factory.GetInfo(i).GetUsedMemory())];
        Assert.NotEmpty(accesses);
        Assert.All(accesses, a => Assert.Contains(a.Base, pointers));
        Assert.All(accesses, a => Assert.Equal((Register.None, Register.DS), (a.Index, a.Segment is Register.SS ? Register.DS : a.Segment)));
    }

    [Fact]
    public void It_never_writes_through_the_pointer_of_an_argument()
    {
        // RAX holds an address that a program names: a result of an earlier call, to be read and nothing else.
        var factory = new InstructionInfoFactory();
        Assert.DoesNotContain(
            s_instructions.SelectMany(i => factory.GetInfo(i).GetUsedMemory()),
            a => a.Base == Register.RAX && a.Access != OpAccess.Read);
    }

    [Fact]
    public void It_does_not_use_a_stack()
    {
        Assert.DoesNotContain(s_instructions, i => i.IsStackInstruction);
        Instruction load = Assert.Single(s_instructions, i => i.Op0Kind == OpKind.Register && i.Op0Register == Register.RSP && i.Mnemonic == Mnemonic.Mov);
        Assert.Equal((Register.RBX, (ulong)InterpreterX64.Frame), (load.MemoryBase, load.MemoryDisplacement64));
    }

    [Fact]
    public void It_runs_at_any_address_and_never_leaves_itself()
    {
        ulong[] starts = [.. s_instructions.Select(i => i.IP)];
        Instruction[] jumps = [.. s_instructions.Where(i => i.FlowControl is FlowControl.ConditionalBranch or FlowControl.UnconditionalBranch)];
        Assert.NotEmpty(jumps);
        Assert.All(jumps, j => Assert.Contains(j.NearBranchTarget, starts));
        Assert.DoesNotContain(s_instructions, i => i.IsIPRelativeMemoryOperand);
        Assert.Equal(FlowControl.UnconditionalBranch, s_instructions[^1].FlowControl);
    }

    [Fact]
    public void It_ends_in_a_loop_of_breakpoints()
    {
        Assert.Equal(Mnemonic.Int3, s_instructions[^2].Mnemonic);
        Assert.Equal(s_instructions[^2].IP, s_instructions[^1].NearBranchTarget);
    }

    private static byte[] Embedded()
    {
        using Stream? stream = typeof(Errno).Assembly.GetManifestResourceStream("interpreter-x64.bin");
        Assert.NotNull(stream);
        byte[] code = new byte[stream.Length];
        stream.ReadExactly(code);
        return code;
    }

    private static Instruction[] Decode(byte[] code)
    {
        var decoder = Decoder.Create(64, new ByteArrayCodeReader(code));
        var instructions = new List<Instruction>();
        while (decoder.IP < (ulong)code.Length)
        {
            instructions.Add(decoder.Decode());
            Assert.False(instructions[^1].IsInvalid);
        }

        return [.. instructions];
    }
}
