using CriuPS.Engine.Errors;
using CriuPS.Engine.Images;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Objects.Cpu;
using CriuPS.Engine.Options;

namespace CriuPS.Engine.Check;

/// <summary>cpuinfo.img: the processor that a tree ran on, which says where it can be restored.</summary>
public static class ProcessorImage
{
    /// <summary>Writes what this processor is into a directory; an earlier description is replaced.</summary>
    /// <exception cref="CriuException">It cannot be written.</exception>
    public static void Write(string directory) => ImageWriter.Replace(directory, ImageType.CpuInfo, Entry());

    /// <summary>Fails if this processor is not fit for what ran on that of a directory.</summary>
    /// <param name="directory">Where the image is.</param>
    /// <param name="parts">What is compared; nothing means everything.</param>
    /// <exception cref="CriuException">It is not fit; all reasons are named. Or there is no image.</exception>
    public static void Validate(string directory, CpuCapabilities parts)
    {
        using ImageSet images = ImageSet.Open(directory);
        Validate(images, OrAll(parts));
    }

    /// <summary>Whether a directory says on which processor its tree ran.</summary>
    public static bool IsIn(string directory) => File.Exists(Path.Join(directory, ImageType.CpuInfo.FileName()));

    /// <summary>What is compared where nobody says it: everything.</summary>
    internal static CpuCapabilities OrAll(CpuCapabilities parts) =>
        (parts & CpuCapabilities.All) == CpuCapabilities.None ? CpuCapabilities.All : parts & CpuCapabilities.All;

    internal static void Write(ImageSet images) => images.WriteSingle(ImageType.CpuInfo, null, Entry());

    internal static void Validate(ImageSet images, CpuCapabilities parts) =>
        ProcessorComparison.Compare(Read(images), ProcessorDescription.Own(), parts);

    internal static CpuinfoX86Entry Read(ImageSet images)
    {
        CpuinfoEntry saved = images.ReadSingle<CpuinfoEntry>(ImageType.CpuInfo);
        if (saved.X86Entry.Count != 1)
        {
            throw new CriuException(
                "DamagedImage", CriuErrorKind.InvalidData, $"{images.FullName(ImageType.CpuInfo.FileName())} describes {saved.X86Entry.Count} x86 processors instead of one");
        }

        return saved.X86Entry[0];
    }

    private static CpuinfoEntry Entry() => new() { X86Entry = { ProcessorDescription.Own() } };
}
