using System.Text;
using Google.Protobuf.Reflection;
using static Google.Protobuf.Reflection.FieldDescriptorProto.Types;

namespace CriuPS.SchemaCompiler;

/// <summary>
/// Writes what the schema compiler of Protocol Buffers leaves out for C#: whether the required fields of a message are set. Its library finds
/// that out by reflection, and the descriptors which that needs cost more time than a whole dump.
/// </summary>
internal static class RequiredFields
{
    /// <summary>The other half of each message's class.</summary>
    public static string Source(FileDescriptorSet schema)
    {
        StringBuilder source = new("// Made from the schema by CriuPS.SchemaCompiler.\n#nullable enable\n#pragma warning disable CS8981 // names of the format\n");
        foreach (FileDescriptorProto file in schema.File.Where(file => file.Options?.HasCsharpNamespace == true))
        {
            source.Append($"namespace {file.Options.CsharpNamespace}\n{{\n");
            foreach (DescriptorProto message in file.MessageType)
            {
                AppendMessage(source, message);
            }

            source.Append("}\n");
        }

        return source.ToString();
    }

    private static void AppendMessage(StringBuilder source, DescriptorProto message)
    {
        List<string> conditions = [.. message.Field.SelectMany(field => Conditions(field, Property.NameOf(field, message)))];
        source.Append($"    public sealed partial class {message.Name} : global::CriuPS.Engine.Images.Schema.IRequiredFields\n    {{\n")
            .Append($"        public bool HasRequiredFields() => {(conditions.Count == 0 ? "true" : string.Join("\n            && ", conditions))};\n");
        if (message.NestedType.Count > 0)
        {
            source.Append("        public static partial class Types\n        {\n");
            foreach (DescriptorProto nested in message.NestedType)
            {
                AppendMessage(source, nested);
            }

            source.Append("        }\n");
        }

        source.Append("    }\n");
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
