using System.Runtime.Intrinsics.X86;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Images;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Objects.Cpu;

namespace CriuPS.Engine.Check;

/// <summary>A processor as image sets describe it: this one, or the one that a set was made on.</summary>
public sealed record CpuInfo
{
    /// <summary>Intel or AMD (Hygon counts as AMD).</summary>
    public required string Vendor { get; init; }

    /// <summary>The name of the model.</summary>
    public required string Model { get; init; }

    /// <summary>Family, model and stepping.</summary>
    public required string Signature { get; init; }

    /// <summary>What it can do, as far as restored programs may depend on it, by the names of /proc/cpuinfo.</summary>
    public required IReadOnlyList<string> Flags { get; init; }

    /// <summary>The components of the extended state that images name, as bits of XCR0.</summary>
    public required ulong StateMask { get; init; }

    /// <summary>Bytes of the extended state with all components that are enabled, in the standard layout.</summary>
    public required uint StateSize { get; init; }

    /// <summary>Bytes of the extended state with all components that the processor has, in the standard layout.</summary>
    public required uint StateSizeMax { get; init; }

    /// <summary>How the extended state may be laid out; null for a processor of an image set, which does not say.</summary>
    public CpuStateLayout? Layout { get; init; }

    /// <summary>The image set that describes it; null for this machine's.</summary>
    public string? Path { get; init; }

    /// <summary>Describes this machine's processor.</summary>
    /// <exception cref="CriuException">It is of a maker that the format has no name for.</exception>
    public static CpuInfo Own() => From(ProcessorDescription.Own()) with { Layout = CpuStateLayout.Own() };

    /// <summary>Reads the description that an image set has.</summary>
    /// <param name="directory">The image set, or a directory with cpuinfo.img alone.</param>
    /// <exception cref="CriuException">There is none, or it is damaged.</exception>
    public static CpuInfo Read(string directory)
    {
        using ImageSet images = ImageSet.Open(directory);
        return From(ProcessorImage.Read(images)) with { Path = images.Path };
    }

    private static CpuInfo From(CpuinfoX86Entry entry) => new()
    {
        Vendor = entry.VendorId switch { CpuinfoX86EntryVendor.Intel => "Intel", CpuinfoX86EntryVendor.Amd => "AMD", _ => "unknown" },
        Model = entry.ModelId, Signature = $"{entry.CpuFamily}.{entry.Model}.{entry.Stepping}",
        Flags = ProcessorFlags.Named(entry.Capability), StateMask = entry.XfeaturesMask, StateSize = entry.XsaveSize, StateSizeMax = entry.XsaveSizeMax,
    };
}

/// <summary>
/// How a processor can lay the extended state out. The kernel gives and takes the standard layout, whatever it uses itself; a program, however, may have the
/// compacted one in its own memory (the C library's symbol resolver does), and go on with it after a restore: its components and their sizes must be the same there.
/// </summary>
public sealed record CpuStateLayout
{
    private const int Leaf = 0xd, Last = 62;

    /// <summary>Programs can save in the compacted layout (XSAVEC).</summary>
    public required bool ProgramsMayCompact { get; init; }

    /// <summary>The kernel can save in the compacted layout (XSAVES).</summary>
    public required bool KernelMayCompact { get; init; }

    /// <summary>Bytes of the state in the compacted layout, with all components that are enabled for programs and the kernel; 0 where there is none.</summary>
    public required uint CompactedSize { get; init; }

    /// <summary>The components that are enabled for programs.</summary>
    public required IReadOnlyList<CpuStateComponent> Components { get; init; }

    internal static CpuStateLayout Own()
    {
        (int deepest, _, _, _) = X86Base.CpuId(0, 0);
        if (deepest < Leaf)
        {
            return new() { ProgramsMayCompact = false, KernelMayCompact = false, CompactedSize = 0, Components = [] };
        }

        (int low, _, _, int high) = X86Base.CpuId(Leaf, 0);
        (int flags, int compacted, _, _) = X86Base.CpuId(Leaf, 1);
        ulong enabled = (uint)low | ((ulong)(uint)high << 32);
        return new()
        {
            ProgramsMayCompact = (flags & 2) != 0, KernelMayCompact = (flags & 8) != 0, CompactedSize = (uint)compacted,
            Components = Enumerable.Range(0, Last + 1).Where(i => (enabled & (1UL << i)) != 0).Select(i => CpuStateComponent.Of(enabled, i)).ToArray(),
        };
    }
}

/// <summary>A component of the extended state.</summary>
/// <param name="Number">Its bit in XCR0.</param>
/// <param name="Name">What it holds.</param>
/// <param name="Size">Bytes.</param>
/// <param name="Offset">Its place in the standard layout.</param>
/// <param name="CompactedOffset">Its place in the compacted layout where all components are saved.</param>
public readonly record struct CpuStateComponent(int Number, string Name, int Size, int Offset, int CompactedOffset)
{
    private const int SseOffset = 160, SseSize = 256;

    internal static CpuStateComponent Of(ulong all, int number)
    {
        if (number < 2)
        {
            (int start, int length) = number == 0 ? (0, SseOffset) : (SseOffset, SseSize);
            return new(number, NameOf(number), length, start, start);
        }

        (int size, int offset, _) = XsaveLayout.Describe(number);
        return new(number, NameOf(number), size, offset, XsaveLayout.CompactedOffset(all, number));
    }

    // Intel's manual volume 1, 13.1.
    private static string NameOf(int number) => number switch
    {
        0 => "x87", 1 => "sse", 2 => "avx", 3 => "mpx bounds", 4 => "mpx configuration", 5 => "avx512 masks", 6 => "avx512 upper halves", 7 => "avx512 upper registers",
        9 => "protection keys", 17 => "amx configuration", 18 => "amx tiles", 19 => "apx registers", _ => $"component {number}",
    };
}
