using System.Globalization;
using CriuPS.Engine.Compel;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using Google.Protobuf;

namespace CriuPS.Engine.Objects.Memory;

/// <summary>
/// From which memory nodes single mappings get their memory (vm_area_struct.vm_policy; for shared memory the file's own). get_mempolicy(2) with MPOL_F_ADDR tells
/// in the process, mbind(2) sets it again, and moves the pages that are there already. Kernels without CONFIG_NUMA have neither.
/// </summary>
internal sealed class MappingPolicies : ITaskState
{
    private const int MPOL_DEFAULT = 0, MPOL_F_ADDR = 2, MPOL_MF_MOVE = 2;

    // As many bits as the kernel has nodes: it refuses a shorter mask (mm/mempolicy.c, kernel_get_mempolicy).
    private static readonly Lazy<int> s_maskSize = new(FindMaskSize);

    public int Room(TaskDump dump) =>
        dump.IsLeader ? dump.Process.Mappings.Count * (SyscallProgram.OperationSize + sizeof(ulong) + s_maskSize.Value) : 0;

    public Action? Ask(TaskDump dump, SyscallProgram program)
    {
        int size = s_maskSize.Value;
        if (!dump.IsLeader || size == 0)
        {
            return null;
        }

        List<(Mapping Mapping, Operation Answer, ulong Policy, ulong Nodes)> asked = [];
        foreach (Mapping mapping in dump.Process.Mappings)
        {
            ulong policy = program.Reserve(sizeof(ulong)), nodes = program.Reserve(size);
            Operation answer = program.Try("get_mempolicy", SyscallNumber.get_mempolicy, policy, nodes, size * 8, mapping.Vma.Start, MPOL_F_ADDR);
            asked.Add((mapping, answer, policy, nodes));
        }

        return () =>
        {
            foreach ((Mapping mapping, Operation answer, ulong policy, ulong nodes) in asked)
            {
                if (program.Result(answer) == 0 && program.Read<int>(policy) is not MPOL_DEFAULT and int mode)
                {
                    CriupsMappingEntry extra = dump.Process.ExtraOf(mapping);
                    extra.MemoryPolicy = (uint)mode;
                    extra.MemoryNodes = ByteString.CopyFrom(program.At(nodes, size).TrimEnd((byte)0));
                }
            }
        };
    }

    // Mappings get theirs when they are made: see the other one.
    public void Restore(TaskRestore restore)
    {
    }

    /// <summary>Gives a mapping its policy.</summary>
    /// <param name="batch">The process.</param>
    /// <param name="entry">The mapping.</param>
    /// <param name="extra">Its policy, if it has one.</param>
    /// <param name="born">Whether it was born with one.</param>
    public static void Restore(RemoteBatch batch, VmaEntry entry, CriupsMappingEntry? extra, bool born)
    {
        ulong length = entry.End - entry.Start;
        if (extra is { HasMemoryPolicy: true })
        {
            SyscallProgram program = batch.Room(1, extra.MemoryNodes.Length + 2 * sizeof(ulong));
            byte[] nodes = new byte[(extra.MemoryNodes.Length + sizeof(ulong)) / sizeof(ulong) * sizeof(ulong)];
            extra.MemoryNodes.Span.CopyTo(nodes);
            program.Add(
                $"mbind({extra.MemoryPolicy}) of {entry.Start:x}-{entry.End:x}", SyscallNumber.mbind, entry.Start, length, (long)extra.MemoryPolicy, program.Put(nodes),
                nodes.Length * 8 + 1, MPOL_MF_MOVE);
        }
        else if (born)
        {
            batch.Add($"mbind of {entry.Start:x}-{entry.End:x}", SyscallNumber.mbind, entry.Start, length, MPOL_DEFAULT, 0, 0, 0);
        }
    }

    private static int FindMaskSize()
    {
        const string Possible = "/sys/devices/system/node/possible";
        return File.Exists(Possible)
            ? (int.Parse(File.ReadAllText(Possible).Trim().Split('-', ',')[^1], CultureInfo.InvariantCulture) / 64 + 1) * sizeof(ulong)
            : 0;
    }
}
