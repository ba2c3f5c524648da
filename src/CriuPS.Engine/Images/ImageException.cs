using CriuPS.Engine.Errors;

namespace CriuPS.Engine.Images;

/// <summary>An image file does not hold what its format says. The message names the file and the offset.</summary>
public sealed class ImageException : CriuException
{
    /// <param name="id">What is wrong; one of the constants of this class.</param>
    /// <param name="fileName">The image file.</param>
    /// <param name="offset">Where in the file, in bytes from its start.</param>
    /// <param name="reason">What is wrong, as the second half of a sentence.</param>
    /// <param name="inner">What noticed it, if anything.</param>
    public ImageException(string id, string fileName, long offset, string reason, Exception? inner = null)
        : base(id, CriuErrorKind.InvalidData, $"image {fileName}, offset {offset}: {reason}", inner)
    {
        FileName = fileName;
        Offset = offset;
        Subject = fileName;
    }

    /// <summary>The file does not start with the magic numbers of its type.</summary>
    public const string BadMagic = nameof(BadMagic);

    /// <summary>The file ends inside of an entry or of the bytes that belong to one.</summary>
    public const string TruncatedImage = nameof(TruncatedImage);

    /// <summary>A size or a count is above the limit set by <see cref="ImageLimits"/>.</summary>
    public const string EntryTooLarge = nameof(EntryTooLarge);

    /// <summary>An entry is no message of the type that belongs there, or lacks a required field.</summary>
    public const string MalformedEntry = nameof(MalformedEntry);

    /// <summary>A page map contradicts itself or its pages file.</summary>
    public const string BadPageMap = nameof(BadPageMap);

    /// <summary>The chain of parent directories is a ring, or longer than the limit.</summary>
    public const string BadParentChain = nameof(BadParentChain);

    /// <summary>A file that must be there is not.</summary>
    public const string MissingImage = nameof(MissingImage);

    /// <summary>The image set was written in a version of the format that is not known.</summary>
    public const string UnknownImageVersion = nameof(UnknownImageVersion);

    /// <summary>The image file's name, or its path where it was opened by one.</summary>
    public string FileName { get; }

    /// <summary>Where in the file, in bytes from its start.</summary>
    public long Offset { get; }
}
