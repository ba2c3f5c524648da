using System.Buffers.Binary;
using System.Collections;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Google.Protobuf;
using Google.Protobuf.Reflection;

namespace CriuPS.Engine.Images;

/// <summary>
/// Writes an image file as the JSON that CRIU's <c>crit decode</c> writes: <c>{"magic": NAME, "entries": [...]}</c>, with what follows an
/// entry as <c>extra</c>. Numbers stay numbers, enums are names, bytes are base64 in lines. Text that is not UTF-8 has a lone surrogate
/// (<c>\udc80</c> to <c>\udcff</c>) for each byte that is none, as Python would put it. <see cref="ImageJsonReader"/> is the way back.
/// </summary>
public sealed class ImageJsonWriter
{
    private readonly FieldBook _book = new();
    private readonly Utf8JsonWriter _json;

    private ImageJsonWriter(Utf8JsonWriter json) => _json = json;

    /// <summary>Writes what a reader still has to read.</summary>
    /// <param name="reader">The image.</param>
    /// <param name="output">Where the JSON goes.</param>
    /// <param name="indented">Whether it is for people too.</param>
    /// <exception cref="Errors.CriuException">The image cannot be read.</exception>
    public static void Write(ImageReader reader, Stream output, bool indented = false)
    {
        var options = new JsonWriterOptions { Indented = indented, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, IndentSize = 4 };
        using var json = new Utf8JsonWriter(output, options);
        new ImageJsonWriter(json).Write(reader);
    }

    private void Write(ImageReader reader)
    {
        _json.WriteStartObject();
        _json.WriteString("magic", reader.Type.Name);
        _json.WriteStartArray("entries");
        while (reader.Read() is { } message)
        {
            _json.WriteStartObject();
            WriteFields(message);
            WriteExtra(reader, message);
            _json.WriteEndObject();
            if (_json.BytesPending > 1 << 16)
            {
                _json.Flush();
            }
        }

        _json.WriteEndArray();
        _json.WriteEndObject();
    }

    private void WriteFields(IMessage message)
    {
        foreach (FieldFacts facts in _book.FieldsOf(message.Descriptor))
        {
            FieldDescriptor field = facts.Field;
            if (field.IsRepeated)
            {
                WriteList(facts, (IList)field.Accessor.GetValue(message));
            }
            else if (field.Accessor.HasValue(message))
            {
                _json.WritePropertyName(field.Name);
                WriteValue(facts, field.Accessor.GetValue(message));
            }
        }
    }

    private void WriteList(FieldFacts facts, IList values)
    {
        if (values.Count == 0)
        {
            return;
        }

        _json.WriteStartArray(facts.Field.Name);
        foreach (object value in values)
        {
            WriteValue(facts, value);
        }

        _json.WriteEndArray();
    }

    private void WriteValue(FieldFacts facts, object value)
    {
        switch (value)
        {
            case IMessage message:
                _json.WriteStartObject();
                WriteFields(message);
                _json.WriteEndObject();
                break;
            case ByteString bytes when facts.Meaning == FieldMeaning.Text:
                WriteText(bytes.Span);
                break;
            case ByteString bytes when facts.Meaning == FieldMeaning.UnixName:
                _json.WriteStringValue(QuotedPrintable.Encode(bytes.Span));
                break;
            case ByteString bytes:
                WriteBase64(bytes.Span);
                break;
            case Enum number:
                _json.WriteStringValue(facts.Field.EnumType.FindValueByNumber(Convert.ToInt32(number, null))?.Name);
                break;
            case string text:
                _json.WriteStringValue(text);
                break;
            case bool truth:
                _json.WriteBooleanValue(truth);
                break;
            case ulong or uint:
                _json.WriteNumberValue(Convert.ToUInt64(value, null));
                break;
            default:
                _json.WriteNumberValue(Convert.ToInt64(value, null));
                break;
        }
    }

    private void WriteExtra(ImageReader reader, IMessage message)
    {
        if (reader.Type.Payload == ImagePayload.None || message is GhostFileEntry { Chunks: true })
        {
            return;
        }

        _json.WritePropertyName("extra");
        switch (message)
        {
            case TcpStreamEntry stream:
                byte[] queues = reader.ReadPayload();
                _json.WriteStartObject();
                _json.WritePropertyName("inq");
                WriteBase64(queues.AsSpan(0, (int)stream.InqLen));
                _json.WritePropertyName("outq");
                WriteBase64(queues.AsSpan((int)stream.InqLen));
                _json.WriteEndObject();
                break;
            case IpcSemEntry:
                WriteSemaphores(reader.ReadPayload());
                break;
            case IpcMsgEntry:
                WriteMessages(reader);
                break;
            default:
                WriteBase64(reader.ReadPayload());
                break;
        }
    }

    private void WriteSemaphores(ReadOnlySpan<byte> values)
    {
        _json.WriteStartArray();
        for (; values.Length >= sizeof(ushort); values = values[sizeof(ushort)..])
        {
            _json.WriteNumberValue(BinaryPrimitives.ReadUInt16LittleEndian(values));
        }

        _json.WriteEndArray();
    }

    private void WriteMessages(ImageReader reader)
    {
        _json.WriteStartArray();
        while (reader.TryReadMessage(out byte[] text) is { } message)
        {
            _json.WriteStartObject();
            WriteFields(message);
            _json.WriteEndObject();
            WriteBase64(text);
        }

        _json.WriteEndArray();
    }

    // In lines of 76 characters, each with its end, as MIME has it.
    private void WriteBase64(ReadOnlySpan<byte> bytes)
    {
        string lines = Convert.ToBase64String(bytes, Base64FormattingOptions.InsertLineBreaks);
        _json.WriteStringValue(lines.Length == 0 ? lines : lines.Replace("\r\n", "\n", StringComparison.Ordinal) + "\n");
    }

    private void WriteText(ReadOnlySpan<byte> bytes)
    {
        if (System.Text.Unicode.Utf8.IsValid(bytes))
        {
            _json.WriteStringValue(bytes);
            return;
        }

        var text = new StringBuilder("\"");
        while (!bytes.IsEmpty)
        {
            bool valid = Rune.DecodeFromUtf8(bytes, out Rune rune, out int length) == System.Buffers.OperationStatus.Done;
            length = valid ? length : 1;
            _ = valid ? text.Append(JavaScriptEncoder.Default.Encode(rune.ToString())) : text.Append($"\\udc{bytes[0]:x2}");
            bytes = bytes[length..];
        }

        _json.WriteRawValue(text.Append('"').ToString(), skipInputValidation: true);
    }
}
