using System.Text;
using Google.Protobuf.Reflection;

namespace CriuPS.SchemaCompiler;

/// <summary>Writes the other half of each message's class: what the schema compiler of Protocol Buffers leaves out for C#.</summary>
internal static class OtherHalves
{
    private const string Space = "global::CriuPS.Engine.Images.Schema";

    /// <summary>The other halves of a schema's messages.</summary>
    public static string Source(FileDescriptorSet schema)
    {
        List<FileDescriptorProto> files = [.. schema.File.Where(file => file.Options?.HasCsharpNamespace == true)];
        WireReading reading = new(files);
        StringBuilder source = new("// Made from the schema by CriuPS.SchemaCompiler.\n#nullable enable\n#pragma warning disable CS8981 // names of the format\n");
        foreach (FileDescriptorProto file in files)
        {
            source.Append($"namespace {file.Options.CsharpNamespace}\n{{\n");
            foreach (DescriptorProto message in file.MessageType)
            {
                AppendMessage(source, message, reading);
            }

            source.Append("}\n");
        }

        return source.ToString();
    }

    private static void AppendMessage(StringBuilder source, DescriptorProto message, WireReading reading)
    {
        source.Append($"    public sealed partial class {message.Name} : {Space}.IRequiredFields, {Space}.IWireMessage\n    {{\n");
        RequiredFields.Append(source, message);
        reading.Append(source, message);
        if (message.NestedType.Count > 0)
        {
            source.Append("        public static partial class Types\n        {\n");
            foreach (DescriptorProto nested in message.NestedType)
            {
                AppendMessage(source, nested, reading);
            }

            source.Append("        }\n");
        }

        source.Append("    }\n");
    }
}
