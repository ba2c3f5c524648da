using System.Text;
using Google.Protobuf.Reflection;
using static Google.Protobuf.Reflection.FieldDescriptorProto.Types;

namespace CriuPS.SchemaCompiler;

/// <summary>
/// Writes whether the required fields of a message are set. The library of Protocol Buffers finds that out by reflection, and the descriptors which that
/// needs cost more time than a whole dump.
/// </summary>
internal static class RequiredFields
{
    /// <summary>Adds the method that tells.</summary>
    public static void Append(StringBuilder source, DescriptorProto message)
    {
        List<string> conditions = [.. message.Field.SelectMany(field => Conditions(field, Property.NameOf(field, message)))];
        source.Append($"        public bool HasRequiredFields() => {(conditions.Count == 0 ? "true" : string.Join("\n            && ", conditions))};\n");
    }

    private static IEnumerable<string> Conditions(FieldDescriptorProto field, string name)
    {
        bool message = field.Type == FieldDescriptorProto.Types.Type.Message;
        if (field.Label == Label.Required)
        {
            yield return message ? $"{name} is not null" : $"Has{name}";
        }

        if (message)
        {
            yield return field.Label == Label.Repeated
                ? $"global::CriuPS.Engine.Images.Schema.RequiredFields.AreIn({name})"
                : $"{name}?.HasRequiredFields() is not false";
        }
    }
}
