using System.Buffers.Binary;
using CriuPS.Engine.Compel;
using CriuPS.Engine.Compel.X64;
using CriuPS.Engine.Objects.Cpu;
using Google.Protobuf;
using Xunit;

namespace CriuPS.Tests.Objects;

public sealed class XsaveLayoutTests
{
    private const int HeaderOffset = 512, CompactionOffset = HeaderOffset + 8, SoftwareOffset = 464, Size = 16 << 10;

    private static readonly int[] s_components = [.. new[] { 2, 5, 6, 7, 9 }.Where(c => XsaveLayout.Describe(c).Size > 0)];

    private static readonly ulong s_enabled = s_components.Aggregate(3UL, (mask, c) => mask | (1UL << c));

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void A_compacted_area_says_the_same_as_one_in_the_standard_layout(int seed)
    {
        byte[] standard = Standard(seed), compacted = Compacted(standard);
        Assert.False(XsaveLayout.IsCompacted(standard));
        Assert.True(XsaveLayout.IsCompacted(compacted));
        Assert.Equal(Saved(standard), Saved(compacted));
    }

    [Fact]
    public void A_component_that_a_compacted_area_lacks_is_nowhere()
    {
        byte[] compacted = Compacted(Standard(4));
        ulong without = BinaryPrimitives.ReadUInt64LittleEndian(compacted.AsSpan(CompactionOffset)) & ~(1UL << s_components[^1]);
        BinaryPrimitives.WriteUInt64LittleEndian(compacted.AsSpan(CompactionOffset), without);
        Assert.Equal((0, 0), XsaveLayout.Component(compacted, s_components[^1]));
    }

    private static ByteString Saved(byte[] area) => RegistersX64.Save(new TaskRegisters(new byte[System.Runtime.CompilerServices.Unsafe.SizeOf<UserRegs>()], area, 0)).ToByteString();

    private static byte[] Standard(int seed)
    {
        byte[] area = new byte[Size];
        new Random(seed).NextBytes(area.AsSpan(0, HeaderOffset));
        BinaryPrimitives.WriteUInt64LittleEndian(area.AsSpan(SoftwareOffset), s_enabled);
        BinaryPrimitives.WriteUInt64LittleEndian(area.AsSpan(HeaderOffset), s_enabled);
        foreach (int component in s_components)
        {
            (int size, int offset, _) = XsaveLayout.Describe(component);
            new Random(seed + component).NextBytes(area.AsSpan(offset, size));
        }

        return area;
    }

    private static byte[] Compacted(byte[] standard)
    {
        byte[] area = new byte[Size];
        standard.AsSpan(0, CompactionOffset).CopyTo(area);
        BinaryPrimitives.WriteUInt64LittleEndian(area.AsSpan(CompactionOffset), s_enabled | (1UL << 63));
        foreach (int component in s_components)
        {
            (int size, int offset, _) = XsaveLayout.Describe(component);
            standard.AsSpan(offset, size).CopyTo(area.AsSpan(XsaveLayout.CompactedOffset(s_enabled, component)));
        }

        return area;
    }
}
