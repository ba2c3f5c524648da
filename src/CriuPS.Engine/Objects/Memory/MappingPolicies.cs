using System.Globalization;
using CriuPS.Engine.Compel;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Objects.Memory;

/// <summary>
/// From which memory nodes single mappings get their memory (vm_area_struct.vm_policy; for shared memory the file's own). get_mempolicy(2) with MPOL_F_ADDR tells
/// in the process, mbind(2) sets it again, and moves the pages that are there already. Kernels without CONFIG_NUMA have neither.
/// </summary>
internal sealed class MappingPolicies : ITaskState
{
    private const int MPOL_F_ADDR = 2, MPOL_MF_MOVE = 2;

    // As many bits as the kernel has nodes.
    private static readonly Lazy<int> s_maskSize = new(FindMaskSize);

    public int Room(TaskDump dump) =>
        dump.IsLeader ? dump.Process.Mappings.Count * PolicyQuestion.Room(s_maskSize.Value) : 0;

    public Action? Ask(TaskDump dump, SyscallProgram program)
    {
        int size = s_maskSize.Value;
        if (!dump.IsLeader || size == 0)
        {
            return null;
        }

        List<(Mapping Mapping, PolicyQuestion Question)> asked =
            [.. dump.Process.Mappings.Select(mapping => (mapping, PolicyQuestion.Add(program, size, mapping.Vma.Start, MPOL_F_ADDR)))];
        return () =>
        {
            foreach ((Mapping mapping, PolicyQuestion question) in asked)
            {
                if (question.Answer(program) is { Policy: not PolicyQuestion.MPOL_DEFAULT } answer)
                {
                    CriupsMappingEntry extra = dump.Process.ExtraOf(mapping);
                    (extra.MemoryPolicy, extra.MemoryNodes) = answer;
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
            SyscallProgram program = batch.Room(1, PolicyQuestion.LongestMask);
            ulong nodes = PolicyQuestion.Put(program, extra.MemoryNodes);
            program.Add(
                $"mbind({extra.MemoryPolicy}) of {entry.Start:x}-{entry.End:x}", SyscallNumber.mbind, entry.Start, length, (long)extra.MemoryPolicy, nodes,
                PolicyQuestion.MostNodes, MPOL_MF_MOVE);
        }
        else if (born)
        {
            batch.Add($"mbind of {entry.Start:x}-{entry.End:x}", SyscallNumber.mbind, entry.Start, length, PolicyQuestion.MPOL_DEFAULT, 0, 0, 0);
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
