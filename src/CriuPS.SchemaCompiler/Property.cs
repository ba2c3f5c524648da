using System.Text;
using Google.Protobuf.Reflection;

namespace CriuPS.SchemaCompiler;

/// <summary>The property that protoc makes of a field.</summary>
internal static class Property
{
    /// <summary>Its name: each part between underscores and digits begins with a capital.</summary>
    public static string NameOf(FieldDescriptorProto field, DescriptorProto message)
    {
        StringBuilder name = new();
        bool capital = true;
        foreach (char c in field.Name)
        {
            if (c != '_')
            {
                name.Append(capital ? char.ToUpperInvariant(c) : c);
            }

            capital = !char.IsAsciiLetter(c);
        }

        return name.ToString() is var made && (made == message.Name || made is "Types" or "Descriptor") ? made + "_" : made;
    }
}
