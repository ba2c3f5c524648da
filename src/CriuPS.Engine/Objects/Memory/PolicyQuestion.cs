using CriuPS.Engine.Compel;
using CriuPS.Engine.Kernel;
using Google.Protobuf;

namespace CriuPS.Engine.Objects.Memory;

/// <summary>A call of get_mempolicy(2), and memory nodes as it and its relatives take them.</summary>
internal readonly struct PolicyQuestion
{
    /// <summary>The policy that is none.</summary>
    public const int MPOL_DEFAULT = 0;

    /// <summary>Bits of the longest mask of nodes (MAX_NUMNODES), and its bytes.</summary>
    public const int MostNodes = 1024, LongestMask = MostNodes / 8;

    private readonly Operation _call;
    private readonly ulong _policy, _nodes;
    private readonly int _size;

    private PolicyQuestion(Operation call, ulong policy, ulong nodes, int size) => (_call, _policy, _nodes, _size) = (call, policy, nodes, size);

    /// <summary>Bytes of a program that a question takes.</summary>
    /// <param name="maskSize">Bytes of the mask of nodes.</param>
    public static int Room(int maskSize) => SyscallProgram.OperationSize + sizeof(ulong) + maskSize;

    /// <summary>Adds the call to a program.</summary>
    /// <param name="program">The program.</param>
    /// <param name="maskSize">Bytes of the mask of nodes; the kernel refuses one that is too short (mm/mempolicy.c, kernel_get_mempolicy).</param>
    /// <param name="address">Whose policy is meant, where the flags say so.</param>
    /// <param name="flags">MPOL_F_*.</param>
    public static PolicyQuestion Add(SyscallProgram program, int maskSize, ulong address = 0, int flags = 0)
    {
        ulong policy = program.Reserve(sizeof(ulong)), nodes = program.Reserve(maskSize);
        return new(program.Try("get_mempolicy", SyscallNumber.get_mempolicy, policy, nodes, maskSize * 8, address, flags), policy, nodes, maskSize);
    }

    /// <summary>The policy and its nodes, when the program has run; null where the kernel does not tell.</summary>
    public (uint Policy, ByteString Nodes)? Answer(SyscallProgram program) =>
        program.Result(_call) == 0 ? ((uint)program.Read<int>(_policy), ByteString.CopyFrom(program.At(_nodes, _size).TrimEnd((byte)0))) : null;

    /// <summary>Puts saved nodes into a program, as a mask of <see cref="MostNodes"/> bits.</summary>
    public static ulong Put(SyscallProgram program, ByteString nodes)
    {
        Span<byte> mask = stackalloc byte[LongestMask];
        mask.Clear();
        nodes.Span[..Math.Min(mask.Length, nodes.Length)].CopyTo(mask);
        return program.Put(mask);
    }
}
