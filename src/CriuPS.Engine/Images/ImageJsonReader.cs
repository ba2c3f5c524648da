using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Runtime.InteropServices;
using System.Text.Json;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Images.Schema;
using Google.Protobuf;
using Google.Protobuf.Reflection;

namespace CriuPS.Engine.Images;

/// <summary>
/// Makes an image file of JSON, as CRIU's <c>crit encode</c> does. It takes what <see cref="ImageJsonWriter"/> and <c>crit decode</c> write, and
/// also the form for people (<c>crit decode --pretty</c>): hex numbers, names of flags and values, device numbers, addresses.
/// </summary>
public sealed class ImageJsonReader
{
    private readonly FieldBook _book = new();

    private ImageJsonReader()
    {
    }

    /// <summary>Writes an image from JSON.</summary>
    /// <param name="json">The JSON.</param>
    /// <param name="create">Makes the writer for the kind of image that the JSON names; it is disposed here.</param>
    /// <returns>How many entries were written.</returns>
    /// <exception cref="CriuException">It is no JSON, or no image, or the file cannot be written.</exception>
    public static int Read(Stream json, Func<ImageType, ImageWriter> create)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = 256 });
            return new ImageJsonReader().Read(document.RootElement, create);
        }
        catch (JsonException e)
        {
            throw Fault($"it is no JSON: {e.Message}", e);
        }
        catch (Exception e) when (e is InvalidOperationException or FormatException or OverflowException or KeyNotFoundException)
        {
            // What JsonElement and Convert throw at a value of another type, or one that is out of range.
            throw Fault(e.Message, e);
        }
    }

    private int Read(JsonElement root, Func<ImageType, ImageWriter> create)
    {
        string name = root.GetProperty("magic").GetString() ?? string.Empty;
        ImageType type = ImageType.FromName(name) is { IsRaw: false } known ? known : throw Fault($"no image has the name '{name}'");
        using ImageWriter writer = create(type);
        int count = 0;
        foreach (JsonElement entry in root.GetProperty("entries").EnumerateArray())
        {
            MessageDescriptor descriptor = count > 0 && type.FollowingMessage is { } following ? following : type.Message!;
            IRequiredFields message = Parse(descriptor, entry);
            writer.Write(message);
            count++;
            if (entry.TryGetProperty("extra", out JsonElement extra))
            {
                WriteExtra(writer, message, extra);
            }
        }

        return count;
    }

    private IRequiredFields Parse(MessageDescriptor descriptor, JsonElement json)
    {
        IRequiredFields message = (IRequiredFields)descriptor.Parser.ParseFrom(Encode(descriptor, json));
        return message.HasRequiredFields() ? message : throw Fault($"an entry lacks a required field of {descriptor.Name}");
    }

    private byte[] Encode(MessageDescriptor descriptor, JsonElement json)
    {
        using var bytes = new MemoryStream();
        using (var output = new CodedOutputStream(bytes, leaveOpen: true))
        {
            IReadOnlyList<FieldFacts> fields = _book.FieldsOf(descriptor);
            foreach (JsonProperty property in json.EnumerateObject().Where(property => property.Name != "extra"))
            {
                FieldFacts facts = fields.FirstOrDefault(facts => facts.Field.Name == property.Name)
                    ?? throw Fault($"{descriptor.Name} has no field '{property.Name}'");
                if (!facts.Field.IsRepeated)
                {
                    WriteField(output, facts, property.Value);
                    continue;
                }

                foreach (JsonElement value in Expand(facts, property.Value))
                {
                    WriteField(output, facts, value);
                }
            }
        }

        return bytes.ToArray();
    }

    private void WriteField(CodedOutputStream output, FieldFacts facts, JsonElement value)
    {
        FieldDescriptor field = facts.Field;
        if (field.FieldType is FieldType.Message or FieldType.Bytes or FieldType.String)
        {
            output.WriteTag(field.FieldNumber, WireFormat.WireType.LengthDelimited);
            output.WriteBytes(ByteString.CopyFrom(field.FieldType == FieldType.Message ? Encode(field.MessageType, value) : Bytes(facts, value)));
            return;
        }

        if (field.FieldType == FieldType.Fixed64)
        {
            output.WriteTag(field.FieldNumber, WireFormat.WireType.Fixed64);
            output.WriteFixed64(checked((ulong)Number(facts, value)));
            return;
        }

        output.WriteTag(field.FieldNumber, WireFormat.WireType.Varint);
        Int128 number = Number(facts, value);
        switch (field.FieldType)
        {
            case FieldType.SInt32:
                output.WriteSInt32(checked((int)number));
                break;
            case FieldType.SInt64:
                output.WriteSInt64(checked((long)number));
                break;
            case FieldType.UInt32:
                output.WriteUInt32(checked((uint)number));
                break;
            case FieldType.UInt64:
                output.WriteUInt64(checked((ulong)number));
                break;
            case FieldType.Bool:
                output.WriteBool(number != 0);
                break;
            case FieldType.Int64:
                output.WriteInt64(checked((long)number));
                break;
            default:
                output.WriteInt32(checked((int)number));
                break;
        }
    }

    private static Int128 Number(FieldFacts facts, JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.True => 1,
        JsonValueKind.False => 0,
        JsonValueKind.Number => Int128.Parse(value.GetRawText(), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture),
        _ => NumberOf(facts, value.GetString() ?? throw Fault($"{facts.Field.Name} has no value")),
    };

    private static Int128 NumberOf(FieldFacts facts, string text)
    {
        switch (facts.Meaning)
        {
            case FieldMeaning.Flags:
                return text.Split('|', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
                    .Aggregate(0UL, (bits, name) => bits | (facts.Names?.ValueOf(name) ?? (ulong)Literal(name)));
            case FieldMeaning.Named:
                return CritWord(facts.Field.Name, text) ?? (Int128?)facts.Names?.ValueOf(text) ?? Literal(text);
            case FieldMeaning.KernelDevice or FieldMeaning.UserDevice when text.Contains(':', StringComparison.Ordinal):
                return DeviceNumber.Parse(text, facts.Meaning == FieldMeaning.UserDevice);
            default:
                return facts.Field.FieldType == FieldType.Enum
                    ? facts.Field.EnumType.FindValueByName(text)?.Number ?? Literal(text)
                    : Literal(text);
        }
    }

    // The words of CRIU's decoder for states of a task are not those of CRIU itself.
    private static Int128? CritWord(string field, string word) => (field, word) switch
    {
        ("task_state", "Alive") => 1,
        ("task_state", "Zombie") => 3,
        ("task_state", "Stopped") => 6,
        _ => null,
    };

    private static Int128 Literal(string text) => text.StartsWith("0x", StringComparison.OrdinalIgnoreCase)
        ? ulong.Parse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture)
        : Int128.Parse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);

    // A list of words that is an IP address may come as one text.
    private static IEnumerable<JsonElement> Expand(FieldFacts facts, JsonElement list)
    {
        if (facts.Meaning != FieldMeaning.Address || list.GetArrayLength() == 0 || list[0].ValueKind != JsonValueKind.String)
        {
            return list.EnumerateArray();
        }

        byte[] address = IPAddress.Parse(list[0].GetString()!).GetAddressBytes();
        string words = string.Join(',', MemoryMarshal.Cast<byte, uint>(address).ToArray());
        using JsonDocument document = JsonDocument.Parse($"[{words}]");
        return [.. document.RootElement.Clone().EnumerateArray()];
    }

    private static byte[] Bytes(FieldFacts facts, JsonElement value) =>
        facts.Meaning == FieldMeaning.UnixName ? QuotedPrintable.Decode(value.GetString()!)
        : facts.Meaning == FieldMeaning.Text || facts.Field.FieldType == FieldType.String ? JsonText.Bytes(value)
        : Base64(value);

    private void WriteExtra(ImageWriter writer, IMessage message, JsonElement extra)
    {
        switch (message)
        {
            case TcpStreamEntry stream:
                WriteBytes(writer, extra.GetProperty("inq"), stream.InqLen);
                WriteBytes(writer, extra.GetProperty("outq"), stream.OutqLen);
                break;
            case IpcSemEntry set:
                WriteSemaphores(writer, extra, set.Nsems);
                break;
            case IpcMsgEntry queue:
                WriteMessages(writer, extra, queue.Qnum);
                break;
            case IpcShmEntry segment:
                WriteBytes(writer, extra, segment.InPagemaps ? 0 : segment.Size);
                writer.WritePadding(segment.InPagemaps ? 0 : (long)segment.Size, sizeof(uint));
                break;
            case PipeDataEntry pipe:
                WriteBytes(writer, extra, pipe.Bytes);
                break;
            case SkPacketEntry packet:
                WriteBytes(writer, extra, packet.Length);
                break;
            case BpfmapDataEntry map:
                WriteBytes(writer, extra, (ulong)map.KeysBytes + map.ValuesBytes);
                break;
            case GhostChunkEntry chunk:
                WriteBytes(writer, extra, chunk.Len);
                break;
            case GhostFileEntry { Chunks: false }:
                writer.WritePayload(Base64(extra));
                break;
            default:
                throw Fault($"no bytes belong to an entry of {writer.Type.Name}, but there is 'extra'");
        }
    }

    private static void WriteBytes(ImageWriter writer, JsonElement json, ulong length)
    {
        byte[] bytes = Base64(json);
        writer.WritePayload((ulong)bytes.Length == length
            ? bytes
            : throw Fault($"an entry of {writer.Type.Name} says that {length} bytes follow, but 'extra' has {bytes.Length}"));
    }

    private static void WriteSemaphores(ImageWriter writer, JsonElement values, uint count)
    {
        if (values.GetArrayLength() != count)
        {
            throw Fault($"there are to be {count} semaphores, but 'extra' has {values.GetArrayLength()}");
        }

        byte[] bytes = new byte[count * sizeof(ushort)];
        for (int i = 0; i < count; i++)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(i * sizeof(ushort)), values[i].GetUInt16());
        }

        writer.WritePayload(bytes);
        writer.WritePadding(bytes.Length, sizeof(ulong));
    }

    private void WriteMessages(ImageWriter writer, JsonElement list, uint count)
    {
        if (list.GetArrayLength() != 2 * (long)count)
        {
            throw Fault($"there are to be {count} messages, but 'extra' has {list.GetArrayLength() / 2}");
        }

        for (int i = 0; i < 2 * count; i += 2)
        {
            var message = (IpcMsg)Parse(IpcMsg.Descriptor, list[i]);
            writer.Write(message);
            WriteBytes(writer, list[i + 1], message.Msize);
            writer.WritePadding(message.Msize, sizeof(ulong));
        }
    }

    private static byte[] Base64(JsonElement value) => Convert.FromBase64String(value.GetString() ?? string.Empty);

    private static CriuException Fault(string reason, Exception? inner = null) =>
        new("BadImageJson", CriuErrorKind.InvalidData, $"the JSON is no image: {reason}", inner);
}
