using System.Buffers.Binary;
using System.Text;
using CriuPS.Engine.Errors;

namespace CriuPS.Engine.Kernel;

/// <summary>
/// The running kernel's description of its own types (BTF, Documentation/bpf/btf.rst; /sys/kernel/btf/vmlinux since Linux 5.4): where a member of a
/// structure lies, and the number of a function.
/// </summary>
internal sealed class KernelTypes
{
    public const string Path = "/sys/kernel/btf/vmlinux";

    /// <summary>What exceptions are called where it does not tell.</summary>
    public const string Unknown = "KernelTypesUnknown";

    private const ushort Magic = 0xeb9f;
    private const int TypeSize = 12, MemberSize = 12;

    // Kinds of types, include/uapi/linux/btf.h.
    private const int Int = 1, Array = 3, Struct = 4, Union = 5, Enum = 6, FunctionKind = 12, FunctionPrototype = 13, Variable = 14;
    private const int DataSection = 15, DeclarationTag = 17, Enum64 = 19;

    private static readonly Lazy<KernelTypes> s_running = new(Read);

    private readonly byte[] _data;
    private readonly int _strings;
    private readonly List<int> _types = [0];

    private KernelTypes(byte[] data, string source)
    {
        _data = data;
        if (data.Length < 24 || BinaryPrimitives.ReadUInt16LittleEndian(data) != Magic)
        {
            throw Malformed(source);
        }

        int header = Number(4), types = header + Number(8), end = types + Number(12);
        _strings = header + Number(16);
        if (types < 0 || end < types || end > data.Length || _strings < 0 || _strings > data.Length)
        {
            throw Malformed(source);
        }

        for (int at = types; at + TypeSize <= end; at += TypeSize + Tail(at))
        {
            _types.Add(at);
        }
    }

    /// <summary>The description of the running kernel, which is read once.</summary>
    /// <exception cref="CriuException"><see cref="Unknown"/>: it has none, or one that cannot be understood.</exception>
    public static KernelTypes Running => s_running.Value;

    private static KernelTypes Read()
    {
        try
        {
            return new KernelTypes(File.ReadAllBytes(Path), Path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentOutOfRangeException)
        {
            throw new CriuException(Unknown, CriuErrorKind.NotSupported, $"{Path} cannot be used: {e.Message}", e);
        }
    }

    /// <summary>The number of a function's type.</summary>
    public int Function(string name) => Find(FunctionKind, name);

    /// <summary>Size of a structure in bytes.</summary>
    public int SizeOf(string structure) => Number(_types[Find(Struct, structure)] + 8);

    /// <summary>Where a member lies in a structure, in bytes; members of members are named one after the other.</summary>
    public int OffsetOf(string structure, params ReadOnlySpan<string> members)
    {
        int type = Find(Struct, structure), offset = 0;
        foreach (string member in members)
        {
            if (!TryFindMember(type, member, out int inner, out int at))
            {
                throw new CriuException(Unknown, CriuErrorKind.NotSupported, $"{structure} has no member {member} in this kernel");
            }

            (type, offset) = (inner, offset + at);
        }

        return offset;
    }

    private int Find(int kind, string name)
    {
        byte[] wanted = [.. Encoding.ASCII.GetBytes(name), 0];
        for (int id = 1; id < _types.Count; id++)
        {
            if (Kind(_types[id]) == kind && NameAt(_types[id]).StartsWith(wanted))
            {
                return id;
            }
        }

        throw new CriuException(Unknown, CriuErrorKind.NotSupported, $"this kernel's types do not tell of {name}");
    }

    // Members of structures and unions without a name count as members of what they are in.
    private bool TryFindMember(int type, string name, out int memberType, out int offset)
    {
        byte[] wanted = [.. Encoding.ASCII.GetBytes(name), 0];
        int at = _types[type];
        bool hasBitFields = Number(at + 4) < 0;
        for (int i = 0; i < Count(at); i++)
        {
            int member = at + TypeSize + i * MemberSize;
            int bits = Number(member + 8) & (hasBitFields ? 0xffffff : -1);
            memberType = Number(member + 4);
            if (NameAt(member).StartsWith(wanted))
            {
                offset = bits / 8;
                return true;
            }

            if (NameAt(member)[0] == 0 && Kind(_types[memberType]) is Struct or Union && TryFindMember(memberType, name, out int inner, out int innerOffset))
            {
                (memberType, offset) = (inner, bits / 8 + innerOffset);
                return true;
            }
        }

        (memberType, offset) = (0, 0);
        return false;
    }

    private int Tail(int at) => Kind(at) switch
    {
        Int or Variable or DeclarationTag => 4,
        Array => 12,
        Struct or Union or DataSection or Enum64 => 12 * Count(at),
        Enum or FunctionPrototype => 8 * Count(at),
        _ => 0,
    };

    private int Kind(int at) => (Number(at + 4) >> 24) & 0x1f;

    private int Count(int at) => Number(at + 4) & 0xffff;

    private ReadOnlySpan<byte> NameAt(int at) => _data.AsSpan(_strings + Number(at));

    private int Number(int at) => BinaryPrimitives.ReadInt32LittleEndian(_data.AsSpan(at));

    private static CriuException Malformed(string source) =>
        new(Unknown, CriuErrorKind.NotSupported, $"{source} is not what it should be");
}
