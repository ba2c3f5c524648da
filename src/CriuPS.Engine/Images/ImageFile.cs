namespace CriuPS.Engine.Images;

/// <summary>A file of an image directory, as its name tells.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">Its kind.</param>
/// <param name="Id">The id in its name, if the kind has one.</param>
public readonly record struct ImageFile(string Name, ImageType Type, ulong? Id);
