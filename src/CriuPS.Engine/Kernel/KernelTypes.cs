using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using CriuPS.Engine.Errors;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Kernel;

/// <summary>
/// The running kernel's description of its own types (BTF, Documentation/bpf/btf.rst; /sys/kernel/btf/vmlinux since Linux 5.4): where a member of a
/// structure lies, and the number of a function.
/// </summary>
internal sealed unsafe class KernelTypes
{
    public const string Path = "/sys/kernel/btf/vmlinux";

    /// <summary>What exceptions are called where it does not tell.</summary>
    public const string Unknown = "KernelTypesUnknown";

    private const ushort Magic = 0xeb9f;
    private const int TypeSize = 12, MemberSize = 12, MostMembers = 0xffff;

    // Kinds of types, include/uapi/linux/btf.h.
    private const int Int = 1, Pointer = 2, Array = 3, Struct = 4, Union = 5, Enum = 6, FunctionKind = 12, FunctionPrototype = 13, Variable = 14;
    private const int DataSection = 15, DeclarationTag = 17, Enum64 = 19;
    private const int Typedef = 8, Volatile = 9, Const = 10, Restrict = 11, TypeTag = 18;

    private static readonly Lazy<KernelTypes> s_running = new(Read);

    private readonly byte* _data;
    private readonly int _length, _strings, _stringsLength;

    // Where each type is described, and the numbers of those that are asked for by name.
    private readonly int[] _types;
    private readonly List<int> _structures = new(16 << 10), _functions = new(64 << 10);

    // The bytes stay where they are as long as this process lives: there is one description, and it is read once.
    private KernelTypes(byte* start, int length, string source)
    {
        _data = start;
        _length = length;
        ReadOnlySpan<byte> data = Data;
        if (data.Length < 24 || BinaryPrimitives.ReadUInt16LittleEndian(data) != Magic)
        {
            throw Malformed(source);
        }

        int header = Number(4), types = header + Number(8), end = types + Number(12);
        (_strings, _stringsLength) = (header + Number(16), Number(20));
        if (types < 0 || end < types || end > data.Length || _strings < 0 || _stringsLength < 0 || _strings > data.Length - _stringsLength)
        {
            throw Malformed(source);
        }

        _types = ListTypes(types, end);
    }

    private int[] ListTypes(int at, int end)
    {
        int[] types = new int[1 + (end - at) / TypeSize];
        for (int id = 1; at + TypeSize <= end; id++)
        {
            types[id] = at;
            int info = Number(at + 4), kind = KindOf(info);
            if (kind is Struct or FunctionKind)
            {
                (kind == Struct ? _structures : _functions).Add(id);
            }

            at += TypeSize + Tail(kind, info & MostMembers);
        }

        return types;
    }

    /// <summary>The description of the running kernel, which is read once.</summary>
    /// <exception cref="CriuException"><see cref="Unknown"/>: it has none, or one that cannot be understood.</exception>
    public static KernelTypes Running => s_running.Value;

    private static KernelTypes Read()
    {
        try
        {
            using SafeFileHandle file = File.OpenHandle(Path);
            int length = checked((int)RandomAccess.GetLength(file));
            return new KernelTypes(Contents(file, length), length, Path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentOutOfRangeException or IndexOutOfRangeException)
        {
            throw new CriuException(Unknown, CriuErrorKind.NotSupported, $"{Path} cannot be used: {e.Message}", e);
        }
    }

    // It can be mapped since Linux 6.16 (kernel/bpf/sysfs_btf.c, btf_sysfs_vmlinux_mmap): then nothing is copied.
    private static byte* Contents(SafeFileHandle file, int length)
    {
        using DescriptorHold hold = new(file);
        long result = Syscall.Invoke(SyscallNumber.mmap, 0, length, Memory.PROT_READ, Memory.MAP_PRIVATE, hold.Number, 0);
        return Syscall.IsError(result) ? Copy(file, length) : (byte*)result;
    }

    private static byte* Copy(SafeFileHandle file, int length)
    {
        byte* memory = (byte*)NativeMemory.Alloc((nuint)length);
        Span<byte> rest = new(memory, length);
        for (long at = 0; !rest.IsEmpty;)
        {
            int count = RandomAccess.Read(file, rest, at);
            if (count == 0)
            {
                throw new EndOfStreamException();
            }

            rest = rest[count..];
            at += count;
        }

        return memory;
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

    /// <summary>Whether a member of a structure is a pointer; false where it has none of that name.</summary>
    public bool IsPointer(string structure, string member) =>
        TryFindMember(Find(Struct, structure), member, out int type, out _) && Kind(_types[Bare(type)]) == Pointer;

    // Each name is there once (tools/lib/bpf, btf__dedup): types are compared by where theirs is.
    private int Find(int kind, string name)
    {
        byte[] wanted = [0, .. Encoding.ASCII.GetBytes(name), 0];
        int text = Data.Slice(_strings, _stringsLength).IndexOf(wanted) + 1;
        foreach (int id in kind == Struct ? _structures : _functions)
        {
            if (Number(_types[id]) == text && text > 0)
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
        int at = _types[Bare(type)];
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

            if (NameAt(member)[0] == 0 && Kind(_types[Bare(memberType)]) is Struct or Union && TryFindMember(memberType, name, out int inner, out int innerOffset))
            {
                (memberType, offset) = (inner, bits / 8 + innerOffset);
                return true;
            }
        }

        (memberType, offset) = (0, 0);
        return false;
    }

    // The type itself behind its other names, and without const and the like.
    private int Bare(int type)
    {
        while (Kind(_types[type]) is Typedef or Volatile or Const or Restrict or TypeTag)
        {
            type = Number(_types[type] + 8);
        }

        return type;
    }

    private static int Tail(int kind, int count) => kind switch
    {
        Int or Variable or DeclarationTag => 4,
        Array => 12,
        Struct or Union or DataSection or Enum64 => 12 * count,
        Enum or FunctionPrototype => 8 * count,
        _ => 0,
    };

    private static int KindOf(int info) => (info >> 24) & 0x1f;

    private int Kind(int at) => KindOf(Number(at + 4));

    private int Count(int at) => Number(at + 4) & MostMembers;

    private ReadOnlySpan<byte> NameAt(int at) => Data[(_strings + Number(at))..];

    private int Number(int at) => BinaryPrimitives.ReadInt32LittleEndian(Data[at..]);

    private ReadOnlySpan<byte> Data => new(_data, _length);

    private static CriuException Malformed(string source) =>
        new(Unknown, CriuErrorKind.NotSupported, $"{source} is not what it should be");
}
