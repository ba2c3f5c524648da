using CriuPS.Engine.Images.Schema;
using Google.Protobuf;
using Google.Protobuf.Reflection;

namespace CriuPS.Engine.Images;

/// <summary>
/// The message of entries, and how their bytes become it. Descriptors, which tell of fields by name, are made only for those who ask for
/// them: making those of the schema takes longer than a whole dump.
/// </summary>
internal abstract class EntryType
{
    /// <summary>The fields by name and number.</summary>
    public abstract MessageDescriptor Descriptor { get; }

    /// <summary>Turns the bytes of an entry into its message, and every way in which that fails into an <see cref="ImageException"/>.</summary>
    /// <param name="bytes">The entry.</param>
    /// <param name="fileName">Where it is from, for errors.</param>
    /// <param name="offset">Where in that file.</param>
    /// <exception cref="ImageException">It is no such message, or lacks a required field.</exception>
    public abstract IMessage Parse(ReadOnlySpan<byte> bytes, string fileName, long offset);
}

/// <summary>The entries of one message.</summary>
/// <typeparam name="T">The message.</typeparam>
internal sealed class EntryType<T> : EntryType
    where T : class, IMessage<T>, IRequiredFields, IWireMessage, new()
{
    private static readonly MessageParser<T> s_parser = new(() => new T());

    /// <inheritdoc/>
    public override MessageDescriptor Descriptor => ((IMessage)new T()).Descriptor;

    /// <inheritdoc/>
    public override IMessage Parse(ReadOnlySpan<byte> bytes, string fileName, long offset)
    {
        T message = new();
        if (!message.TryRead(bytes))
        {
            message = ParseByLibrary(bytes, fileName, offset);
        }

        return message.HasRequiredFields()
            ? message
            : throw new ImageException(ImageException.MalformedEntry, fileName, offset, $"the entry lacks a required field of {typeof(T).Name}");
    }

    private static T ParseByLibrary(ReadOnlySpan<byte> bytes, string fileName, long offset)
    {
        try
        {
            return s_parser.ParseFrom(bytes);
        }
        catch (InvalidProtocolBufferException e)
        {
            throw new ImageException(ImageException.MalformedEntry, fileName, offset, $"the entry is malformed: {e.Message}", e);
        }
    }
}
