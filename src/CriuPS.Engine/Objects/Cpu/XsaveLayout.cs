using System.Runtime.Intrinsics.X86;

namespace CriuPS.Engine.Objects.Cpu;

/// <summary>Where the processor puts each component of the extended state in the standard layout (CPUID leaf 0xD, Intel's manual volume 1, 13.2).</summary>
internal static class XsaveLayout
{
    private const int Leaf = 0xd;

    /// <summary>Size and offset of a component in bytes, 0 where the processor does not have it.</summary>
    public static (int Size, int Offset) Component(int number)
    {
        (int eax, int ebx, _, _) = X86Base.CpuId(Leaf, number);
        return (eax, ebx);
    }
}
