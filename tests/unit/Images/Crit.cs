using System.Collections;
using System.Diagnostics;
using System.Text.Json;
using CriuPS.Engine.Images;
using Google.Protobuf;
using Google.Protobuf.Reflection;

namespace CriuPS.Tests.Images;

/// <summary>
/// CRIU's own decoder of images, where it is installed (Debian's package criu): it turns all files of a directory to JSON and back in one
/// process, and tells which fields its version knows.
/// </summary>
public sealed class Crit : IDisposable
{
    // Fed to python: decodes every *.img, encodes every *.in, and lists what the decoder's schema has.
    private const string Driver = """
        import json, os, sys
        from pycriu import images
        from pycriu.images import pb
        known = {}
        def walk(d):
            if d.full_name in known: return
            known[d.full_name] = {f.name: [f.number, [v.number for v in f.enum_type.values] if f.enum_type else []] for f in d.fields}
            for f in d.fields:
                if f.message_type: walk(f.message_type)
        for h in images.images.handlers.values():
            if hasattr(h, 'payload'): walk(h.payload.DESCRIPTOR)
        for m in (pb.pagemap_head, pb.pagemap_entry, pb.ghost_file_entry, pb.ghost_chunk_entry, pb.ipc_msg): walk(m.DESCRIPTOR)
        json.dump({'handlers': sorted(images.images.handlers), 'messages': known}, open('known', 'w'))
        for name in sorted(os.listdir('.')):
            try:
                if name.endswith('.img'): json.dump(images.load(open(name, 'rb')), open(name + '.out', 'w'))
                elif name.endswith('.in'): images.dump(json.load(open(name)), open(name[:-3] + '.back', 'wb'))
            except Exception as e:
                open(name + '.err', 'w').write('%s: %s' % (type(e).__name__, e))
        """;

    private readonly TemporaryDirectory _directory = new();
    private readonly JsonElement _known;

    public Crit()
    {
        IsInstalled = File.Exists("/usr/bin/crit") && Run() == 0;
        if (IsInstalled)
        {
            _known = JsonDocument.Parse(File.ReadAllText(_directory["known"])).RootElement;
        }
    }

    /// <summary>Whether it is there and works.</summary>
    public bool IsInstalled { get; }

    /// <summary>Whether its version knows a kind of image, with all fields that must be there.</summary>
    public bool Knows(ImageType type) =>
        _known.GetProperty("handlers").EnumerateArray().Any(name => name.GetString() == type.Name)
        && Required(type.Message).Concat(Required(type.FollowingMessage)).All(field => Knows(field, out _));

    /// <summary>Clears the fields that its version does not know.</summary>
    public void Prune(IMessage message)
    {
        foreach (FieldDescriptor field in message.Descriptor.Fields.InFieldNumberOrder())
        {
            if (!Knows(field, out JsonElement values))
            {
                field.Accessor.Clear(message);
            }
            else if (field.FieldType == FieldType.Enum && !field.IsRepeated)
            {
                bool named = values.EnumerateArray().Any(v => v.GetInt32() == Convert.ToInt32(field.Accessor.GetValue(message), null));
                field.Accessor.SetValue(message, named || !field.Accessor.HasValue(message)
                    ? field.Accessor.GetValue(message)
                    : Enum.ToObject(field.EnumType.ClrType, values[0].GetInt32()));
            }
            else if (field.FieldType == FieldType.Message)
            {
                object value = field.Accessor.GetValue(message);
                foreach (IMessage part in field.IsRepeated ? ((IList)value).Cast<IMessage>() : value is IMessage one ? [one] : [])
                {
                    Prune(part);
                }
            }
        }
    }

    /// <summary>Puts a file into its directory: <c>NAME.img</c> will be decoded, <c>NAME.in</c> encoded.</summary>
    public void Give(string name, byte[] content) => File.WriteAllBytes(_directory[name], content);

    /// <summary>Does all the work at once.</summary>
    public void Work()
    {
        if (Run() != 0)
        {
            throw new InvalidOperationException("python failed");
        }
    }

    /// <summary>The path of a result: <c>NAME.img.out</c> is JSON, <c>NAME.back</c> an image.</summary>
    /// <exception cref="InvalidOperationException">It says that it could not do it.</exception>
    public string Take(string given, string result)
    {
        string error = _directory[given + ".err"];
        return File.Exists(error) ? throw new InvalidOperationException(File.ReadAllText(error)) : _directory[result];
    }

    public void Dispose() => _directory.Dispose();

    private static IEnumerable<FieldDescriptor> Required(MessageDescriptor? message) =>
        message?.Fields.InFieldNumberOrder().Where(field => field.IsRequired) ?? [];

    private bool Knows(FieldDescriptor field, out JsonElement values)
    {
        JsonElement fields = _known.GetProperty("messages").GetProperty(field.ContainingType.FullName);
        bool known = fields.TryGetProperty(field.Name, out JsonElement facts) && facts[0].GetInt32() == field.FieldNumber;
        values = known ? facts[1] : default;
        return known;
    }

    private int Run()
    {
        var start = new ProcessStartInfo("/usr/bin/python3", ["-"])
        {
            WorkingDirectory = _directory.Path,
            RedirectStandardInput = true,
            RedirectStandardError = true,
        };
        using Process python = Process.Start(start)!;
        python.StandardInput.Write(Driver);
        python.StandardInput.Close();
        string errors = python.StandardError.ReadToEnd();
        python.WaitForExit();
        return python.ExitCode == 0 || errors.Contains("ModuleNotFoundError", StringComparison.Ordinal)
            ? python.ExitCode
            : throw new InvalidOperationException(errors);
    }
}
