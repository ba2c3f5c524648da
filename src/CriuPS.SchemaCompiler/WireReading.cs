using System.Text;
using Google.Protobuf.Reflection;
using static Google.Protobuf.Reflection.FieldDescriptorProto.Types;

namespace CriuPS.SchemaCompiler;

/// <summary>
/// Writes how a message is read from bytes in memory where they hold nothing but fields of the schema: what the library spends on streams, unknown fields and
/// extensions is more than the reading itself, and image files have hundred thousands of entries.
/// </summary>
/// <param name="files">The files of the schema.</param>
internal sealed class WireReading(IEnumerable<FileDescriptorProto> files)
{
    private const int Varint = 0, Fixed64 = 1, Counted = 2, Fixed32 = 5;

    private readonly Dictionary<string, string> _types = Types(files);

    /// <summary>Adds the method that reads it.</summary>
    public void Append(StringBuilder source, DescriptorProto message)
    {
        source.Append("        public bool TryRead(global::System.ReadOnlySpan<byte> bytes)\n        {\n")
            .Append("            var reader = new global::CriuPS.Engine.Images.Schema.WireReader(bytes);\n")
            .Append("            while (!reader.IsAtEnd)\n            {\n                switch (reader.Varint())\n                {\n");
        foreach (FieldDescriptorProto field in message.Field)
        {
            AppendField(source, field, Property.NameOf(field, message));
        }

        source.Append("                    default: return false;\n                }\n            }\n\n            return !reader.IsBroken;\n        }\n");
    }

    // A field that is not here, like a text, makes the library read the whole message.
    private void AppendField(StringBuilder source, FieldDescriptorProto field, string name)
    {
        bool isList = field.Label == Label.Repeated;
        if (field.Type == FieldDescriptorProto.Types.Type.Message && _types.TryGetValue(field.TypeName, out string? type))
        {
            string once = isList ? "" : $"if ({name} is not null) return false; ";
            source.Append($"                    case {Tag(field, Counted)}: {{ {once}var part = new {type}(); if (!part.TryRead(reader.Bytes())) return false; ")
                .Append(isList ? $"{name}.Add(part);" : $"{name} = part;").Append(" break; }\n");
        }
        else if (Value(field) is (int wire, string value))
        {
            source.Append($"                    case {Tag(field, wire)}: {(isList ? $"{name}.Add({value})" : $"{name} = {value}")}; break;\n");
        }
    }

    private (int Wire, string Value)? Value(FieldDescriptorProto field) => field.Type switch
    {
        FieldDescriptorProto.Types.Type.Uint32 => (Varint, "(uint)reader.Varint()"),
        FieldDescriptorProto.Types.Type.Uint64 => (Varint, "reader.Varint()"),
        FieldDescriptorProto.Types.Type.Int32 => (Varint, "(int)reader.Varint()"),
        FieldDescriptorProto.Types.Type.Int64 => (Varint, "(long)reader.Varint()"),
        FieldDescriptorProto.Types.Type.Sint32 => (Varint, "(int)global::CriuPS.Engine.Images.Schema.WireReader.Signed((uint)reader.Varint())"),
        FieldDescriptorProto.Types.Type.Sint64 => (Varint, "global::CriuPS.Engine.Images.Schema.WireReader.Signed(reader.Varint())"),
        FieldDescriptorProto.Types.Type.Bool => (Varint, "reader.Varint() != 0"),
        FieldDescriptorProto.Types.Type.Enum when _types.TryGetValue(field.TypeName, out string? type) => (Varint, $"({type})(int)reader.Varint()"),
        FieldDescriptorProto.Types.Type.Fixed32 => (Fixed32, "reader.Fixed32()"),
        FieldDescriptorProto.Types.Type.Fixed64 => (Fixed64, "reader.Fixed64()"),
        FieldDescriptorProto.Types.Type.Bytes => (Counted, "global::Google.Protobuf.ByteString.CopyFrom(reader.Bytes())"),
        _ => null,
    };

    private static uint Tag(FieldDescriptorProto field, int wire) => ((uint)field.Number << 3) | (uint)wire;

    // By the names that fields call them by.
    private static Dictionary<string, string> Types(IEnumerable<FileDescriptorProto> files)
    {
        Dictionary<string, string> types = [];
        foreach (FileDescriptorProto file in files)
        {
            string package = file.Package.Length == 0 ? "" : $".{file.Package}", space = $"global::{file.Options.CsharpNamespace}";
            foreach (EnumDescriptorProto named in file.EnumType)
            {
                types.Add($"{package}.{named.Name}", $"{space}.{named.Name}");
            }

            foreach (DescriptorProto message in file.MessageType)
            {
                AddTypes(types, $"{package}.{message.Name}", $"{space}.{message.Name}", message);
            }
        }

        return types;
    }

    private static void AddTypes(Dictionary<string, string> types, string name, string type, DescriptorProto message)
    {
        if (message.Options?.MapEntry != true)
        {
            types.Add(name, type);
        }

        foreach (EnumDescriptorProto nested in message.EnumType)
        {
            types.Add($"{name}.{nested.Name}", $"{type}.Types.{nested.Name}");
        }

        foreach (DescriptorProto nested in message.NestedType)
        {
            AddTypes(types, $"{name}.{nested.Name}", $"{type}.Types.{nested.Name}", nested);
        }
    }
}
