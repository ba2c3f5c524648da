using CriuPS.Engine.Compel;
using CriuPS.Engine.Kernel;
using Google.Protobuf;

namespace CriuPS.Engine.Objects.Memory;

/// <summary>
/// From which memory nodes a thread gets its memory (task_struct.mempolicy, numa(7)). Told and set by get_mempolicy(2) and set_mempolicy(2) in the
/// thread itself; kernels without CONFIG_NUMA have neither.
/// </summary>
internal sealed class MemoryPolicy : ITaskState
{
    private const int NodeBits = 1024, MPOL_DEFAULT = 0;

    public Action? Ask(TaskDump dump, SyscallProgram program)
    {
        ulong policy = program.Reserve(sizeof(ulong)), nodes = program.Reserve(NodeBits / 8);
        Operation answer = program.Try("get_mempolicy", SyscallNumber.get_mempolicy, policy, nodes, NodeBits, 0, 0);
        return () =>
        {
            if (program.Result(answer) == 0)
            {
                dump.Extra.MemoryPolicy = (uint)program.Read<int>(policy);
                dump.Extra.MemoryNodes = ByteString.CopyFrom(program.At(nodes, NodeBits / 8).TrimEnd((byte)0));
            }
        };
    }

    public void Restore(TaskRestore restore)
    {
        if (restore.Extra is not { HasMemoryPolicy: true } extra)
        {
            return;
        }

        SyscallProgram program = restore.Batch.Room(1, NodeBits / 8);
        if (extra.MemoryPolicy == MPOL_DEFAULT)
        {
            program.Try("set_mempolicy", SyscallNumber.set_mempolicy, MPOL_DEFAULT, 0, 0);
            return;
        }

        Span<byte> nodes = stackalloc byte[NodeBits / 8];
        nodes.Clear();
        extra.MemoryNodes.Span[..Math.Min(nodes.Length, extra.MemoryNodes.Length)].CopyTo(nodes);
        program.Add($"set_mempolicy({extra.MemoryPolicy})", SyscallNumber.set_mempolicy, (long)extra.MemoryPolicy, program.Put(nodes), NodeBits);
    }
}
