using System.Globalization;
using Google.Protobuf.Reflection;

namespace CriuPS.Engine.Images;

/// <summary>Names of bits or of values, as fields of images use them.</summary>
internal sealed class ValueNames
{
    private readonly (string Name, ulong Value)[] _names;
    private readonly string? _empty;
    private readonly ulong _emptyMask;

    private ValueNames((string Name, ulong Value)[] names, string? empty = null, ulong emptyMask = ulong.MaxValue)
    {
        _names = names;
        _empty = empty;
        _emptyMask = emptyMask;
    }

    /// <summary>Names of bits.</summary>
    /// <param name="set">Name of the set in the schema, e.g. <c>mmap.prot</c>.</param>
    /// <returns>Null for a set that has no names.</returns>
    public static ValueNames? Flags(string set) => set switch
    {
        "mmap.prot" => s_protection,
        "mmap.flags" => s_mapFlags,
        "mmap.status" => s_vmaStatus,
        "rfile.flags" => s_openFlags,
        "pmap.flags" => s_pageFlags,
        "seals.flags" => s_seals,
        _ => null,
    };

    /// <summary>Names of values.</summary>
    /// <param name="set">Name of the set in the schema.</param>
    /// <param name="field">The field in which they stand.</param>
    /// <returns>Null for a field that has no names.</returns>
    public static ValueNames? Values(string set, string field) => (set, field) switch
    {
        ("gen", "task_state") => s_taskState,
        ("sk", "family") => s_family,
        ("sk", "type") => s_socketType,
        ("sk", "state") => s_socketState,
        ("sk", "proto") => s_protocol,
        _ => null,
    };

    /// <summary>Names of the values of an enum.</summary>
    public static ValueNames Of(EnumDescriptor type) => new([.. type.Values.Select(value => (value.Name, (ulong)value.Number))]);

    /// <summary>The name of a value, or null.</summary>
    public string? NameOf(ulong value) => _names.FirstOrDefault(pair => pair.Value == value).Name;

    /// <summary>The value of a name, or null.</summary>
    public ulong? ValueOf(string name)
    {
        foreach ((string known, ulong value) in _names)
        {
            if (known == name)
            {
                return value;
            }
        }

        return name == _empty ? 0 : null;
    }

    /// <summary>Names of the bits that are set; bits without a name come last, as one number.</summary>
    public IReadOnlyList<string> Split(ulong value)
    {
        var names = new List<string>();
        if (_empty is not null && (value & _emptyMask) == 0)
        {
            names.Add(_empty);
        }

        ulong rest = value;
        foreach ((string name, ulong bits) in _names.Where(pair => (value & pair.Value) != 0))
        {
            names.Add(name);
            rest &= ~bits;
        }

        if (rest != 0)
        {
            names.Add("0x" + rest.ToString("x", CultureInfo.InvariantCulture));
        }

        return names;
    }

    // mmap(2) and include/uapi/asm-generic/mman-common.h.
    private static readonly ValueNames s_protection = new(
        [
            ("PROT_READ", 1), ("PROT_WRITE", 2), ("PROT_EXEC", 4),
            ("PROT_SEM", 8), ("PROT_GROWSDOWN", 0x01000000), ("PROT_GROWSUP", 0x02000000),
        ],
        empty: "PROT_NONE");

    private static readonly ValueNames s_mapFlags = new(
        [
            ("MAP_SHARED", 1), ("MAP_PRIVATE", 2), ("MAP_ANON", 0x20), ("MAP_GROWSDOWN", 0x100),
            ("MAP_FIXED", 0x10), ("MAP_32BIT", 0x40), ("MAP_DENYWRITE", 0x800), ("MAP_EXECUTABLE", 0x1000), ("MAP_LOCKED", 0x2000),
            ("MAP_NORESERVE", 0x4000), ("MAP_POPULATE", 0x8000), ("MAP_NONBLOCK", 0x10000), ("MAP_STACK", 0x20000),
            ("MAP_HUGETLB", 0x40000), ("MAP_SYNC", 0x80000), ("MAP_DROPPABLE", 8),
        ]);

    // What CRIU says a mapping is: criu/include/image.h of CRIU 4.2.
    private static readonly ValueNames s_vmaStatus = new(
        [
            ("VMA_AREA_REGULAR", 1 << 0), ("VMA_AREA_STACK", 1 << 1), ("VMA_AREA_VSYSCALL", 1 << 2), ("VMA_AREA_VDSO", 1 << 3),
            ("VMA_AREA_HEAP", 1 << 5), ("VMA_FILE_PRIVATE", 1 << 6), ("VMA_FILE_SHARED", 1 << 7), ("VMA_ANON_SHARED", 1 << 8),
            ("VMA_ANON_PRIVATE", 1 << 9), ("VMA_AREA_SYSVIPC", 1 << 10), ("VMA_AREA_SOCKET", 1 << 11), ("VMA_AREA_VVAR", 1 << 12),
            ("VMA_AREA_AIORING", 1 << 13), ("VMA_AREA_MEMFD", 1 << 14), ("VMA_AREA_SHSTK", 1 << 15), ("VMA_AREA_UPROBES", 1 << 17),
            ("VMA_AREA_GUARD", 1 << 16), ("VMA_EXT_PLUGIN", 1 << 27), ("VMA_UNSUPP", 1U << 31),
        ]);

    // open(2) on x86-64: include/uapi/asm-generic/fcntl.h.
    private static readonly ValueNames s_openFlags = new(
        [
            ("O_WRONLY", 1), ("O_RDWR", 2), ("O_CREAT", 0x40), ("O_EXCL", 0x80), ("O_NOCTTY", 0x100), ("O_TRUNC", 0x200),
            ("O_APPEND", 0x400), ("O_NONBLOCK", 0x800), ("O_DSYNC", 0x1000), ("FASYNC", 0x2000), ("O_DIRECT", 0x4000),
            ("O_LARGEFILE", 0x8000), ("O_DIRECTORY", 0x10000), ("O_NOFOLLOW", 0x20000), ("O_NOATIME", 0x40000), ("O_CLOEXEC", 0x80000),
            ("__O_SYNC", 0x100000), ("O_PATH", 0x200000), ("__O_TMPFILE", 0x400000),
        ],
        empty: "O_RDONLY",
        emptyMask: 3);

    private static readonly ValueNames s_pageFlags = new([("PE_PARENT", 1), ("PE_LAZY", 2), ("PE_PRESENT", 4)]);

    // memfd_create(2) and fcntl(2).
    private static readonly ValueNames s_seals = new(
        [
            ("F_SEAL_SEAL", 1), ("F_SEAL_SHRINK", 2), ("F_SEAL_GROW", 4), ("F_SEAL_WRITE", 8), ("F_SEAL_FUTURE_WRITE", 0x10),
            ("F_SEAL_EXEC", 0x20),
        ]);

    // What the dumping code means (criu/include/pstree.h of CRIU 4.2); CRIU's own decoder has other words for 3 and 6.
    private static readonly ValueNames s_taskState = new([("ALIVE", 1), ("DEAD", 2), ("STOPPED", 3), ("ZOMBIE", 6)]);

    // socket(2), include/net/tcp_states.h, include/uapi/linux/in.h.
    private static readonly ValueNames s_family = new([("UNIX", 1), ("INET", 2), ("INET6", 10), ("NETLINK", 16), ("PACKET", 17)]);

    private static readonly ValueNames s_socketType = new([("STREAM", 1), ("DGRAM", 2), ("RAW", 3), ("SEQPACKET", 5), ("PACKET", 10)]);

    private static readonly ValueNames s_socketState = new(
        [
            ("ESTABLISHED", 1), ("SYN_SENT", 2), ("SYN_RECV", 3), ("FIN_WAIT1", 4), ("FIN_WAIT2", 5), ("TIME_WAIT", 6), ("CLOSE", 7),
            ("CLOSE_WAIT", 8), ("LAST_ACK", 9), ("LISTEN", 10),
        ]);

    private static readonly ValueNames s_protocol = new(
        [("IP", 0), ("ICMP", 1), ("TCP", 6), ("UDP", 17), ("ICMPV6", 58), ("UDPLITE", 136), ("RAW", 255)]);
}
