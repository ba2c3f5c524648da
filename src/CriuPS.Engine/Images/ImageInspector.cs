using System.Collections;
using System.Net;
using System.Runtime.InteropServices;
using System.Text;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Images;

/// <summary>Reads image files for people: names instead of numbers, addresses in hexadecimal. For one thread.</summary>
/// <param name="limits">Bounds of what is read; null for the defaults.</param>
public sealed class ImageInspector(ImageLimits? limits = null)
{
    private const FieldMeaning Inherited = FieldMeaning.Hex;
    private readonly FieldBook _book = new();
    private readonly ImageLimits _limits = limits ?? ImageLimits.Default;

    /// <summary>Lists the image files of a directory by kind and id.</summary>
    /// <exception cref="Errors.CriuException">It cannot be read.</exception>
    public IReadOnlyList<ImageFile> ListFiles(string directory)
    {
        using ImageSet set = ImageSet.Open(directory, _limits);
        return set.ListFiles();
    }

    /// <summary>Tells the kind and the id of a file: by its name, or, if images do not have such names, by its magic number.</summary>
    /// <exception cref="Errors.CriuException">It cannot be read, or no image begins like it.</exception>
    public ImageFile Identify(string path)
    {
        string name = Path.GetFileName(path);
        if (ImageType.FromFileName(name, out ulong? id) is { } type)
        {
            return new ImageFile(name, type, id);
        }

        using ImageReader reader = ImageReader.OpenUnknown(Open(path), path, _limits);
        return new ImageFile(name, reader.Type, null);
    }

    /// <summary>Reads the entries of a file one by one, as they are asked for.</summary>
    /// <param name="path">The file.</param>
    /// <param name="type">Its kind.</param>
    /// <param name="id">The id in its name.</param>
    /// <exception cref="Errors.CriuException">The file cannot be read from here on; entries before were good.</exception>
    public IEnumerable<ImageEntry> Read(string path, ImageType type, ulong? id)
    {
        if (type.IsRaw)
        {
            using SafeFileHandle file = Open(path);
            yield return new ImageEntry { Type = type, Id = id, Path = path, Offset = 0, PayloadBytes = RandomAccess.GetLength(file) };
            yield break;
        }

        using ImageReader reader = ImageReader.Open(Open(path), path, type, id, _limits);
        while (reader.Read() is { } message)
        {
            yield return new ImageEntry
            {
                Type = type,
                Id = id,
                Path = path,
                Offset = reader.EntryOffset,
                Message = Describe(message, FieldMeaning.Plain),
                PayloadBytes = PayloadOf(reader),
            };
        }
    }

    private static SafeFileHandle Open(string path) =>
        Kernel.FileAt.TryOpen(null, path, Kernel.FileAt.O_RDONLY | Kernel.FileAt.O_NONBLOCK, 0, out int errno)
        ?? throw new Errors.KernelException($"open {path}", errno) { Subject = path };

    private static long? PayloadOf(ImageReader reader)
    {
        if (reader.Type.Payload != ImagePayload.IpcMessages)
        {
            return reader.Type.Payload == ImagePayload.None ? null : reader.PayloadLength;
        }

        long sum = 0;
        while (reader.TryReadMessage(out byte[] text) is not null)
        {
            sum += text.Length;
        }

        return sum;
    }

    // Registers have no option of their own: the one of the message that they are in counts for them.
    private ImageMessage Describe(IMessage message, FieldMeaning outer)
    {
        var fields = new List<ImageField>();
        foreach (FieldFacts facts in _book.FieldsOf(message.Descriptor))
        {
            FieldDescriptor field = facts.Field;
            FieldMeaning meaning = facts.Meaning == FieldMeaning.Plain ? outer : facts.Meaning;
            if (field.IsRepeated)
            {
                fields.Add(new ImageField(field.Name, DescribeList(facts, (IList)field.Accessor.GetValue(message), meaning)));
            }
            else if (field.Accessor.HasValue(message))
            {
                fields.Add(new ImageField(field.Name, DescribeValue(facts, field.Accessor.GetValue(message), meaning)));
            }
        }

        return new ImageMessage(message.Descriptor.Name, fields);
    }

    private object DescribeList(FieldFacts facts, IList values, FieldMeaning meaning)
    {
        if (meaning == FieldMeaning.Address && values.Count is 1 or 4)
        {
            uint[] words = [.. values.Cast<uint>()];
            return new IPAddress(MemoryMarshal.AsBytes(words.AsSpan())).ToString();
        }

        return values.Cast<object>().Select(value => DescribeValue(facts, value, meaning)).ToList();
    }

    private object DescribeValue(FieldFacts facts, object value, FieldMeaning meaning) => value switch
    {
        IMessage message => Describe(message, meaning == Inherited ? Inherited : FieldMeaning.Plain),
        ByteString bytes => meaning switch
        {
            FieldMeaning.Text => Encoding.UTF8.GetString(bytes.Span),
            FieldMeaning.UnixName => SocketName(bytes.Span),
            _ => bytes.ToByteArray(),
        },
        Enum number => facts.Field.EnumType.FindValueByNumber(Convert.ToInt32(number, null))?.Name ?? (object)Convert.ToInt32(number, null),
        bool or string => value,
        _ => DescribeNumber(facts, value, meaning),
    };

    private static object DescribeNumber(FieldFacts facts, object value, FieldMeaning meaning)
    {
        if (meaning == FieldMeaning.Plain)
        {
            return value;
        }

        ulong bits = value is int or long ? (ulong)Convert.ToInt64(value, null) : Convert.ToUInt64(value, null);
        return meaning switch
        {
            FieldMeaning.Flags when facts.Names is { } names => new FlagSet(bits, names.Split(bits)),
            FieldMeaning.Named => facts.Names?.NameOf(bits) ?? value,
            FieldMeaning.KernelDevice or FieldMeaning.UserDevice => DeviceNumber.Show(bits, meaning == FieldMeaning.UserDevice),
            FieldMeaning.Hex or FieldMeaning.Flags => new HexNumber(bits),
            _ => value,
        };
    }

    // An abstract name begins with a zero byte, which ss(8) and others show as '@'; a path may end with one.
    private static string SocketName(ReadOnlySpan<byte> name) =>
        Encoding.UTF8.GetString(name.StartsWith((byte)0) ? name : name.TrimEnd((byte)0)).Replace('\0', '@');
}
