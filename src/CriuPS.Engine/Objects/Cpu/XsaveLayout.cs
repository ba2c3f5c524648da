using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Runtime.Intrinsics.X86;

namespace CriuPS.Engine.Objects.Cpu;

/// <summary>
/// Where the components of the extended state are (Intel's manual volume 1, 13.4; CPUID leaf 0xD). In the standard layout each has a place of its own; in the
/// compacted one (XSAVEC, XSAVES: bit 63 of XCOMP_BV) those that are there stand one behind the other, some of them at multiples of 64.
/// ptrace gives the standard layout whatever the kernel itself uses (arch/x86/kernel/fpu/xstate.c); programs may use either in their own memory.
/// </summary>
internal static class XsaveLayout
{
    /// <summary>Where the legacy area ends and the header begins, and where the header ends, in bytes.</summary>
    public const int LegacySize = 512, HeaderEnd = LegacySize + 64;

    private const int Leaf = 0xd, First = 2, Last = 62, CompactionOffset = LegacySize + 8, Alignment = 64;
    private const ulong Compacted = 1UL << 63;

    // The processor never says anything else, and under a hypervisor each question is one to that.
    private static readonly ConcurrentDictionary<int, (int Size, int Offset, bool Aligned)> s_known = new();

    /// <summary>Whether an area is in the compacted layout.</summary>
    public static bool IsCompacted(ReadOnlySpan<byte> area) => (Compaction(area) & Compacted) != 0;

    /// <summary>Size and offset of a component in an area, in bytes; 0 where the area or the processor does not have it.</summary>
    public static (int Size, int Offset) Component(ReadOnlySpan<byte> area, int number)
    {
        ulong compaction = Compaction(area);
        (int size, int offset, _) = Describe(number);
        return (compaction & Compacted) == 0 ? (size, offset) : (compaction & (1UL << number)) == 0 ? (0, 0) : (size, CompactedOffset(compaction, number));
    }

    /// <summary>Size of a component, its offset in the standard layout, and whether the compacted layout aligns it.</summary>
    public static (int Size, int Offset, bool Aligned) Describe(int number) => s_known.GetOrAdd(number, static n =>
    {
        (int size, int offset, int flags, _) = X86Base.CpuId(Leaf, n);
        return (size, offset, (flags & 2) != 0);
    });

    /// <summary>The offset of a component where these are saved compacted.</summary>
    public static int CompactedOffset(ulong components, int number)
    {
        int at = HeaderEnd;
        for (int i = First; i <= Last; i++)
        {
            if ((components & (1UL << i)) == 0 && i != number)
            {
                continue;
            }

            (int size, _, bool aligned) = Describe(i);
            at = aligned ? (at + Alignment - 1) / Alignment * Alignment : at;
            if (i == number)
            {
                break;
            }

            at += size;
        }

        return at;
    }

    private static ulong Compaction(ReadOnlySpan<byte> area) => BinaryPrimitives.ReadUInt64LittleEndian(area[CompactionOffset..]);
}
