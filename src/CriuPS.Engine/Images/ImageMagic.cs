namespace CriuPS.Engine.Images;

/// <summary>Magic numbers that stand before the type's own, little-endian like everything in an image.</summary>
public static class ImageMagic
{
    /// <summary>Starts the files of a checkpoint, except the inventory and raw files.</summary>
    public const uint Common = 0x54564319;

    /// <summary>Starts files about a checkpoint: statistics, cached paths.</summary>
    public const uint Service = 0x55105940;

    /// <summary>Starts pages files of the very first format, which are not read.</summary>
    public const uint OldPages = 0x56084025;

    /// <summary><c>img_version</c> of the inventory when files have no common magic.</summary>
    public const uint VersionWithoutCommonMagic = 1;

    /// <summary><c>img_version</c> of the inventory that is written.</summary>
    public const uint Version = 2;
}
