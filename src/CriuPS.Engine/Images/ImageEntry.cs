namespace CriuPS.Engine.Images;

/// <summary>One entry of an image as people read it, or a raw image as a whole.</summary>
public sealed record ImageEntry
{
    /// <summary>The kind of image.</summary>
    public required ImageType Type { get; init; }

    /// <summary>The id in the file's name, if it has one.</summary>
    public required ulong? Id { get; init; }

    /// <summary>The file, with its directory.</summary>
    public required string Path { get; init; }

    /// <summary>Where the entry begins, in bytes from the start of the file.</summary>
    public required long Offset { get; init; }

    /// <summary>Its message; null for a raw image.</summary>
    public ImageMessage? Message { get; init; }

    /// <summary>How many bytes belong to the entry without being part of its message (all of a raw image); null where none ever do.</summary>
    public long? PayloadBytes { get; init; }
}

/// <summary>A message as people read it.</summary>
/// <param name="Name">Its name in the schema, e.g. <c>vma_entry</c>.</param>
/// <param name="Fields">The fields that are set, and all lists, by ascending number.</param>
public sealed record ImageMessage(string Name, IReadOnlyList<ImageField> Fields);

/// <summary>A field of a message as people read it.</summary>
/// <param name="Name">Its name in the schema.</param>
/// <param name="Value">
/// A number, a truth value, a text, a byte array, a <see cref="HexNumber"/>, a <see cref="FlagSet"/>, an <see cref="ImageMessage"/>, or a
/// list of any of these (<see cref="IReadOnlyList{T}"/> of object).
/// </param>
public readonly record struct ImageField(string Name, object Value);
