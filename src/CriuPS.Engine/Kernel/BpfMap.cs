using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Kernel;

/// <summary>Maps of bpf(2): what they are, and their elements. Attributes are the words of union bpf_attr (include/uapi/linux/bpf.h).</summary>
internal static unsafe class BpfMap
{
    public const int BPF_MAP_CREATE = 0, BPF_MAP_LOOKUP_ELEM = 1, BPF_MAP_UPDATE_ELEM = 2, BPF_MAP_GET_NEXT_KEY = 4, BPF_MAP_GET_FD_BY_ID = 14;
    public const int BPF_OBJ_GET_INFO_BY_FD = 15, BPF_MAP_FREEZE = 22;
    public const int BPF_MAP_TYPE_HASH = 1, BPF_MAP_TYPE_ARRAY = 2, BPF_MAP_TYPE_LRU_HASH = 9, BPF_MAP_TYPE_LPM_TRIE = 11;
    public const int BPF_F_NO_PREALLOC = 1, BPF_F_NUMA_NODE = 4, BPF_F_RDONLY = 8, BPF_F_WRONLY = 16, BPF_F_ZERO_SEED = 64, BPF_F_RDONLY_PROG = 128;
    public const int BPF_F_WRONLY_PROG = 256, BPF_F_MMAPABLE = 1024;

    private const int NameSize = 16, InfoSize = 88, CreateSize = 72, ElementSize = 32;

    /// <summary>What a map is (struct bpf_map_info).</summary>
    public readonly record struct Info(
        uint Type, uint Id, uint KeySize, uint ValueSize, uint MaxEntries, uint Flags, string Name, uint InterfaceIndex, uint TypesId, ulong Extra);

    /// <summary>Asks what a map is.</summary>
    public static Info Describe(SafeFileHandle map)
    {
        byte* info = stackalloc byte[InfoSize];
        new Span<byte>(info, InfoSize).Clear();
        using var hold = new DescriptorHold(map);
        ulong* attributes = stackalloc ulong[2] { (uint)hold.Number | ((ulong)InfoSize << 32), (ulong)info };
        Check(BPF_OBJ_GET_INFO_BY_FD, attributes, 16, "bpf(BPF_OBJ_GET_INFO_BY_FD)");
        uint* words = (uint*)info;
        string name = Encoding.ASCII.GetString(new ReadOnlySpan<byte>(info + 24, NameSize)).TrimEnd('\0');
        return new Info(words[0], words[1], words[2], words[3], words[4], words[5], name, words[10], words[16], *(ulong*)(info + 80));
    }

    /// <summary>Makes a map.</summary>
    public static SafeFileHandle Create(Info map)
    {
        uint* words = stackalloc uint[CreateSize / sizeof(uint)];
        Span<byte> bytes = new(words, CreateSize);
        bytes.Clear();
        (words[0], words[1], words[2], words[3], words[4]) = (map.Type, map.KeySize, map.ValueSize, map.MaxEntries, map.Flags);
        Encoding.ASCII.GetBytes(map.Name.AsSpan(0, Math.Min(map.Name.Length, NameSize - 1)), bytes[28..]);
        MemoryMarshal.Write(bytes[64..], map.Extra);
        return Open(BPF_MAP_CREATE, words, CreateSize, "bpf(BPF_MAP_CREATE)");
    }

    /// <summary>Opens a map by its number once more.</summary>
    /// <param name="id">The number.</param>
    /// <param name="flags">BPF_F_RDONLY or BPF_F_WRONLY for less than both.</param>
    public static SafeFileHandle OpenById(uint id, int flags = 0)
    {
        uint* words = stackalloc uint[3] { id, 0, (uint)flags };
        return Open(BPF_MAP_GET_FD_BY_ID, words, 12, "bpf(BPF_MAP_GET_FD_BY_ID)");
    }

    /// <summary>The key after another one; false at the end.</summary>
    /// <param name="map">The map.</param>
    /// <param name="key">The key before, which becomes the next; empty for the first.</param>
    /// <param name="next">Takes the key.</param>
    public static bool TryNextKey(SafeFileHandle map, ReadOnlySpan<byte> key, Span<byte> next)
    {
        fixed (byte* from = key)
        fixed (byte* to = next)
        {
            long result = Element(BPF_MAP_GET_NEXT_KEY, map, from, to, 0);
            return result != -Errno.ENOENT && Syscall.Check(result, "bpf(BPF_MAP_GET_NEXT_KEY)") == 0;
        }
    }

    /// <summary>The value of a key; false where there is none.</summary>
    public static bool TryLookUp(SafeFileHandle map, ReadOnlySpan<byte> key, Span<byte> value)
    {
        fixed (byte* from = key)
        fixed (byte* to = value)
        {
            long result = Element(BPF_MAP_LOOKUP_ELEM, map, from, to, 0);
            return result != -Errno.ENOENT && Syscall.Check(result, "bpf(BPF_MAP_LOOKUP_ELEM)") == 0;
        }
    }

    public static void Update(SafeFileHandle map, ReadOnlySpan<byte> key, ReadOnlySpan<byte> value)
    {
        fixed (byte* from = key)
        fixed (byte* to = value)
        {
            Syscall.Check(Element(BPF_MAP_UPDATE_ELEM, map, from, to, 0), "bpf(BPF_MAP_UPDATE_ELEM)");
        }
    }

    /// <summary>Forbids programs outside of the kernel to change a map, for ever.</summary>
    public static void Freeze(SafeFileHandle map)
    {
        using var hold = new DescriptorHold(map);
        int number = hold.Number;
        Check(BPF_MAP_FREEZE, &number, sizeof(int), "bpf(BPF_MAP_FREEZE)");
    }

    private static long Element(int command, SafeFileHandle map, byte* key, byte* value, ulong flags)
    {
        using var hold = new DescriptorHold(map);
        ulong* attributes = stackalloc ulong[4] { (uint)hold.Number, (ulong)key, (ulong)value, flags };
        return Syscall.Invoke(SyscallNumber.bpf, command, (long)attributes, ElementSize);
    }

    private static SafeFileHandle Open(int command, void* attributes, int size, string call) => new((nint)Check(command, attributes, size, call), ownsHandle: true);

    private static long Check(int command, void* attributes, int size, string call) =>
        Syscall.Check(Syscall.Invoke(SyscallNumber.bpf, command, (long)attributes, size), call);
}
