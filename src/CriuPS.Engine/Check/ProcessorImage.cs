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
    public static void Write(string directory)
    {
        string path = Path.Join(directory, ImageType.CpuInfo.FileName());
        File.Delete(path);
        using ImageWriter writer = ImageWriter.Create(path, ImageType.CpuInfo);
        writer.Write(Entry());
    }

    /// <summary>Fails if this processor is not fit for what ran on that of a directory.</summary>
    /// <param name="directory">Where the image is.</param>
    /// <param name="parts">What is compared; nothing means everything.</param>
    /// <exception cref="CriuException">It is not fit; all reasons are named. Or there is no image.</exception>
    public static void Validate(string directory, CpuCapabilities parts)
    {
        using ImageSet images = ImageSet.Open(directory);
        Validate(images, (parts & CpuCapabilities.All) == CpuCapabilities.None ? CpuCapabilities.All : parts);
    }

    internal static void Write(ImageSet images) => images.WriteSingle(ImageType.CpuInfo, null, Entry());

    internal static void Validate(ImageSet images, CpuCapabilities parts)
    {
        CpuinfoEntry saved = images.ReadSingle<CpuinfoEntry>(ImageType.CpuInfo);
        if (saved.X86Entry.Count != 1)
        {
            throw new CriuException(
                "DamagedImage", CriuErrorKind.InvalidData, $"{images.FullName(ImageType.CpuInfo.FileName())} describes {saved.X86Entry.Count} x86 processors instead of one");
        }

        ProcessorComparison.Compare(saved.X86Entry[0], ProcessorDescription.Own(), parts);
    }

    private static CpuinfoEntry Entry() => new() { X86Entry = { ProcessorDescription.Own() } };
}
