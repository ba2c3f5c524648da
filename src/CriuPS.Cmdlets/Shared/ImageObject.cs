using System.Management.Automation;
using CriuPS.Engine.Images;

namespace CriuPS.Commands;

/// <summary>An entry of an image as an object of PowerShell: where it is from, then the fields of its message.</summary>
internal static class ImageObject
{
    /// <summary>The type name that all of them have; each has one of its kind of image before it, e.g. <c>CriuPS.ImageEntry.CORE</c>.</summary>
    public const string TypeName = "CriuPS.ImageEntry";

    // Messages within an entry, e.g. CriuPS.ImageMessage.vma_entry.
    private const string NestedTypeName = "CriuPS.ImageMessage";

    /// <summary>Makes the object.</summary>
    public static PSObject From(ImageEntry entry)
    {
        var result = new PSObject();
        result.TypeNames.Insert(0, TypeName);
        result.TypeNames.Insert(0, $"{TypeName}.{entry.Type.Name}");
        Add(result, "ImageType", entry.Type.Name);
        Add(result, "ImageId", entry.Id);
        Add(result, "FileName", Path.GetFileName(entry.Path));
        Add(result, "ImageDirectory", Path.GetDirectoryName(entry.Path));
        Add(result, "EntryOffset", entry.Offset);
        if (entry.PayloadBytes is { } bytes)
        {
            Add(result, "PayloadSize", bytes);
        }

        AddFields(result, entry.Message);
        return result;
    }

    private static void AddFields(PSObject target, ImageMessage? message)
    {
        foreach (ImageField field in message?.Fields ?? [])
        {
            Add(target, field.Name, Shown(field.Value));
        }
    }

    private static object Shown(object value)
    {
        switch (value)
        {
            case ImageMessage message:
                var nested = new PSObject();
                nested.TypeNames.Insert(0, $"{NestedTypeName}.{message.Name}");
                AddFields(nested, message);
                return nested;
            case IReadOnlyList<object> list:
                return list.Select(Shown).ToArray();
            default:
                return value;
        }
    }

    private static void Add(PSObject target, string name, object? value) => target.Properties.Add(new PSNoteProperty(name, value));
}
