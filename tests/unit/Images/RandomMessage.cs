using System.Collections;
using System.Text;
using CriuPS.Engine.Images.Schema;
using Google.Protobuf;
using Google.Protobuf.Reflection;

namespace CriuPS.Tests.Images;

/// <summary>Makes valid messages of any type: required fields always set, optional ones now and then, numbers with a taste for extremes.</summary>
internal sealed class RandomMessage(int seed)
{
    private const int DeepestOptional = 5;
    private readonly Random _random = new(seed);

    /// <summary>A number below a bound.</summary>
    public int Below(int bound) => _random.Next(bound);

    /// <summary>Random bytes.</summary>
    public byte[] Bytes(int length)
    {
        byte[] bytes = new byte[length];
        _random.NextBytes(bytes);
        return bytes;
    }

    /// <summary>A message of a type.</summary>
    public IRequiredFields Make(MessageDescriptor descriptor, int depth = 0)
    {
        var message = (IRequiredFields)Activator.CreateInstance(descriptor.ClrType)!;
        foreach (FieldDescriptor field in descriptor.Fields.InFieldNumberOrder())
        {
            if (field.IsRepeated)
            {
                var list = (IList)field.Accessor.GetValue(message);
                for (int n = depth > DeepestOptional ? 0 : _random.Next(4); n > 0; n--)
                {
                    list.Add(Value(field, depth));
                }
            }
            else if (field.IsRequired || (depth <= DeepestOptional && _random.Next(2) == 0))
            {
                field.Accessor.SetValue(message, Value(field, depth));
            }
        }

        return message;
    }

    private object Value(FieldDescriptor field, int depth) => field.FieldType switch
    {
        FieldType.Message => Make(field.MessageType, depth + 1),
        FieldType.Enum => Enum.ToObject(field.EnumType.ClrType, field.EnumType.Values[_random.Next(field.EnumType.Values.Count)].Number),
        FieldType.Bool => _random.Next(2) == 1,
        FieldType.String => Text(),
        FieldType.Bytes when OsText(field) => ByteString.CopyFromUtf8(Text()),
        FieldType.Bytes => ByteString.CopyFrom(Bytes(_random.Next(40))),
        FieldType.UInt32 or FieldType.Fixed32 => (uint)Bits(),
        FieldType.Int32 or FieldType.SInt32 => (int)Bits(),
        FieldType.UInt64 or FieldType.Fixed64 => Bits(),
        FieldType.Int64 or FieldType.SInt64 => (long)Bits(),
        _ => throw new NotSupportedException(field.FullName),
    };

    private ulong Bits() => _random.Next(4) switch
    {
        0 => 0,
        1 => ulong.MaxValue,
        2 => (ulong)_random.Next(100),
        _ => (ulong)_random.NextInt64(),
    };

    private string Text()
    {
        var text = new StringBuilder();
        for (int n = _random.Next(12); n > 0; n--)
        {
            text.Append("abc/.-é日\t\"\\"[_random.Next(11)]);
        }

        return text.ToString();
    }

    private static bool OsText(FieldDescriptor field) => field.GetOptions()?.GetExtension(OptsExtensions.Criu)?.Text ?? false;
}
