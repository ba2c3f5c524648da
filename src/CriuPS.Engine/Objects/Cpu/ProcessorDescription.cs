using System.Runtime.Intrinsics.X86;
using System.Text;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Images.Schema;

namespace CriuPS.Engine.Objects.Cpu;

/// <summary>
/// What kind of processor this is (CPUID; Intel's manual volume 2, AMD's manual volume 3, appendix E), as images describe it: bits of leaves in the kernel's
/// order, without what the kernel itself adds, but for the two that it knows by heart for all 64-bit processors.
/// </summary>
internal static class ProcessorDescription
{
    private const int ExtendedLeaves = unchecked((int)0x80000000), WordsOfVersion1 = 12;
    private const uint RepGood = 1u << 16, NoOperationLong = 1u << 20, HasCpuid = 1u << 25, NonStandard3DNow = 1u << 31;

    /// <summary>
    /// Components of the extended state that images name: x87, AVX, bounds' configuration, AVX-512, protection keys. CRIU leaves the bits of SSE and of bounds'
    /// registers out; it takes an image with more bits for one of a better processor.
    /// </summary>
    private const ulong NamedComponents = 0x2f5;

    /// <summary>Describes this processor.</summary>
    /// <exception cref="CriuException">It is of a maker that the format has no name for.</exception>
    public static CpuinfoX86Entry Own()
    {
        (int deepest, int first, int third, int second) = X86Base.CpuId(0, 0);
        string maker = Text([first, second, third]);
        uint[] words = new uint[ProcessorFlags.Words];
        ReadLeaves(words, deepest);
        CpuinfoX86Entry entry = new()
        {
            VendorId = maker switch
            {
                "GenuineIntel" => CpuinfoX86EntryVendor.Intel,
                "AuthenticAMD" or "HygonGenuine" => CpuinfoX86EntryVendor.Amd,
                _ => throw new CriuException("ProcessorNotSupported", CriuErrorKind.NotSupported, $"images cannot name the maker of this processor, {maker}"),
            },
            CapabilityVer = 2, ModelId = Brand(),
        };
        (entry.CpuFamily, entry.Model, entry.Stepping) = Signature();
        Adjust(words, entry, deepest);
        entry.Capability.AddRange(words);
        if (deepest >= 0xd)
        {
            (int low, int enabled, int largest, int high) = X86Base.CpuId(0xd, 0);
            entry.XfeaturesMask = ((uint)low | ((ulong)(uint)high << 32)) & NamedComponents;
            (entry.XsaveSize, entry.XsaveSizeMax) = ((uint)enabled, (uint)largest);
        }

        return entry;
    }

    /// <summary>The words of an image, as many as there are now: an older image says nothing of the last ones.</summary>
    /// <exception cref="CriuException">It has another number of them than its version says.</exception>
    public static uint[] Words(CpuinfoX86Entry entry, CpuinfoX86Entry own)
    {
        int expected = entry.CapabilityVer switch { 1 => WordsOfVersion1, 2 => ProcessorFlags.Words, _ => -1 };
        return entry.Capability.Count == expected
            ? [.. entry.Capability, .. own.Capability.Skip(expected)]
            : throw new CriuException(
                "DamagedImage", CriuErrorKind.InvalidData, $"the description of the processor has version {entry.CapabilityVer} and {entry.Capability.Count} words of flags");
    }

    private static (uint Family, uint Model, uint Stepping) Signature()
    {
        uint signature = (uint)X86Base.CpuId(1, 0).Eax, family = (signature >> 8) & 0xf, model = (signature >> 4) & 0xf;
        if (family == 0xf)
        {
            family += (signature >> 20) & 0xff;
        }

        return (family, family >= 6 ? model + (((signature >> 16) & 0xf) << 4) : model, signature & 0xf);
    }

    private static void ReadLeaves(uint[] words, int deepest)
    {
        (_, _, int ecx, int edx) = X86Base.CpuId(1, 0);
        (words[ProcessorFlags.Leaf1Ecx], words[ProcessorFlags.Leaf1Edx]) = ((uint)ecx, (uint)edx);
        if (deepest >= 6)
        {
            words[ProcessorFlags.Leaf6Eax] = (uint)X86Base.CpuId(6, 0).Eax;
        }

        if (deepest >= 7)
        {
            (_, int ebx, ecx, edx) = X86Base.CpuId(7, 0);
            (words[ProcessorFlags.Leaf7Ebx], words[ProcessorFlags.Leaf7Ecx], words[ProcessorFlags.Leaf7Edx]) = ((uint)ebx, (uint)ecx, (uint)edx);
        }

        words[ProcessorFlags.LeafDEax] = deepest >= 0xd ? (uint)X86Base.CpuId(0xd, 1).Eax : 0;
        if (deepest >= 0xf)
        {
            const uint LastLevelCache = 2;
            words[ProcessorFlags.LeafFEdx] = (uint)X86Base.CpuId(0xf, 0).Edx;
            words[ProcessorFlags.LeafF1Edx] = (words[ProcessorFlags.LeafFEdx] & LastLevelCache) != 0 ? (uint)X86Base.CpuId(0xf, 1).Edx : 0;
        }

        ReadExtendedLeaves(words);
    }

    private static void ReadExtendedLeaves(uint[] words)
    {
        uint deepest = (uint)X86Base.CpuId(ExtendedLeaves, 0).Eax - unchecked((uint)ExtendedLeaves);
        (_, _, int ecx, int edx) = X86Base.CpuId(ExtendedLeaves + 1, 0);
        (words[ProcessorFlags.Extended1Ecx], words[ProcessorFlags.Extended1Edx]) = ((uint)ecx, (uint)edx);
        words[ProcessorFlags.Extended7Ebx] = deepest >= 7 ? (uint)X86Base.CpuId(ExtendedLeaves + 7, 0).Ebx : 0;
        words[ProcessorFlags.Extended8Ebx] = deepest >= 8 ? (uint)X86Base.CpuId(ExtendedLeaves + 8, 0).Ebx : 0;
        words[ProcessorFlags.ExtendedAEdx] = deepest >= 0xa ? (uint)X86Base.CpuId(ExtendedLeaves + 0xa, 0).Edx : 0;
    }

    // arch/x86/kernel/cpu: common.c, intel.c and amd.c, as far as programs can know it too.
    private static void Adjust(uint[] words, CpuinfoX86Entry entry, int deepest)
    {
        words[ProcessorFlags.Linux1] |= NoOperationLong | HasCpuid;
        bool isAmd = entry.VendorId == CpuinfoX86EntryVendor.Amd;
        if (isAmd)
        {
            words[ProcessorFlags.Leaf1Edx] &= ~NonStandard3DNow;
        }

        if (isAmd ? entry.CpuFamily >= 0x10 : entry.CpuFamily == 6)
        {
            words[ProcessorFlags.Linux1] |= RepGood;
        }

        if (deepest < 0xd)
        {
            const uint Xsave = 1u << 26;
            words[ProcessorFlags.Leaf1Ecx] &= ~Xsave;
        }
    }

    private static string Brand()
    {
        List<int> text = [];
        for (int leaf = 2; leaf <= 4; leaf++)
        {
            (int eax, int ebx, int ecx, int edx) = X86Base.CpuId(ExtendedLeaves + leaf, 0);
            text.AddRange([eax, ebx, ecx, edx]);
        }

        return Text([.. text]).TrimStart(' ');
    }

    private static string Text(int[] registers)
    {
        byte[] bytes = [.. registers.SelectMany(BitConverter.GetBytes)];
        int end = Array.IndexOf(bytes, (byte)0);
        return Encoding.Latin1.GetString(bytes, 0, end < 0 ? bytes.Length : end);
    }
}
