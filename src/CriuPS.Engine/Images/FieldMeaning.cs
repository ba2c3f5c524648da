using CriuPS.Engine.Images.Schema;
using Google.Protobuf.Reflection;

namespace CriuPS.Engine.Images;

/// <summary>What a field's number or bytes mean to people, as the schema's options tell.</summary>
internal enum FieldMeaning
{
    /// <summary>What its type says.</summary>
    Plain,

    /// <summary>An address, a mask or a register.</summary>
    Hex,

    /// <summary>A set of bits with names.</summary>
    Flags,

    /// <summary>A value with a name.</summary>
    Named,

    /// <summary>A device number as the kernel keeps it.</summary>
    KernelDevice,

    /// <summary>A device number as user space keeps it.</summary>
    UserDevice,

    /// <summary>Words of an IP address.</summary>
    Address,

    /// <summary>Bytes that people read as text.</summary>
    Text,

    /// <summary>The name of a unix socket: text with zero bytes.</summary>
    UnixName,
}

/// <summary>A field with what it means.</summary>
/// <param name="Field">The field.</param>
/// <param name="Meaning">What it means.</param>
/// <param name="Names">Names of its bits or values, where it has some.</param>
internal sealed record FieldFacts(FieldDescriptor Field, FieldMeaning Meaning, ValueNames? Names);

/// <summary>
/// Knows the meaning of every field it was asked for once; asking the schema is slow. One of these belongs to whoever shows messages, and
/// is for one thread.
/// </summary>
internal sealed class FieldBook
{
    private readonly Dictionary<MessageDescriptor, FieldFacts[]> _known = [];

    /// <summary>The fields of a message by ascending number.</summary>
    public IReadOnlyList<FieldFacts> FieldsOf(MessageDescriptor message)
    {
        if (!_known.TryGetValue(message, out FieldFacts[]? facts))
        {
            facts = [.. message.Fields.InFieldNumberOrder().Select(Read)];
            _known.Add(message, facts);
        }

        return facts;
    }

    // One number is a name that the schema does not tell of.
    private static FieldFacts Read(FieldDescriptor field) =>
        field.ContainingType == MntEntry.Descriptor && field.FieldNumber == MntEntry.FstypeFieldNumber
            ? new FieldFacts(field, FieldMeaning.Named, ValueNames.Of(MountsReflection.Descriptor.EnumTypes.Single(type => type.Name == "fstype")))
        : field.GetOptions()?.GetExtension(OptsExtensions.Criu) is not { } options ? new FieldFacts(field, FieldMeaning.Plain, null)
        : options.Hex ? new FieldFacts(field, FieldMeaning.Hex, null)
        : options.HasFlags ? new FieldFacts(field, FieldMeaning.Flags, ValueNames.Flags(options.Flags))
        : options.HasDict ? new FieldFacts(field, FieldMeaning.Named, ValueNames.Values(options.Dict, field.Name))
        : options.Dev ? new FieldFacts(field, options.Odev ? FieldMeaning.UserDevice : FieldMeaning.KernelDevice, null)
        : options.Ipadd ? new FieldFacts(field, FieldMeaning.Address, null)
        : options.Text ? new FieldFacts(field, FieldMeaning.Text, null)
        : options.HasConv ? new FieldFacts(field, FieldMeaning.UnixName, null)
        : new FieldFacts(field, FieldMeaning.Plain, null);
}
