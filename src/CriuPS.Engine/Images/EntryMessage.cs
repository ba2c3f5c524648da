using Google.Protobuf;

namespace CriuPS.Engine.Images;

/// <summary>Turns the bytes of an entry into its message, and every way in which that fails into an <see cref="ImageException"/>.</summary>
internal static class EntryMessage
{
    /// <summary>Parses an entry.</summary>
    /// <param name="parser">The parser of the message.</param>
    /// <param name="bytes">The entry.</param>
    /// <param name="fileName">Where it is from, for errors.</param>
    /// <param name="offset">Where in that file.</param>
    /// <exception cref="ImageException">It is no such message, or lacks a required field.</exception>
    public static IMessage Parse(MessageParser parser, ReadOnlySpan<byte> bytes, string fileName, long offset)
    {
        IMessage message;
        try
        {
            message = parser.ParseFrom(bytes);
        }
        catch (InvalidProtocolBufferException e)
        {
            throw new ImageException(ImageException.MalformedEntry, fileName, offset, $"the entry is malformed: {e.Message}", e);
        }

        return IsComplete(message)
            ? message
            : throw new ImageException(ImageException.MalformedEntry, fileName, offset, $"the entry lacks a required field of {message.Descriptor.Name}");
    }

    /// <summary>Whether every required field is set, in nested messages too.</summary>
    public static bool IsComplete(IMessage message) => message switch
    {
        // The general way asks field by field by reflection; page maps can have millions of these.
        PagemapEntry entry => entry.HasVaddr && entry.HasCompatNrPages,
        _ => message.IsInitialized(),
    };
}
