using CriuPS.Engine.Errors;
using CriuPS.Engine.Images;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// A map of bpf(2) (struct bpf_map). fdinfo tells its number, and whether it is frozen (since Linux 5.2); BPF_OBJ_GET_INFO_BY_FD all that it was made with (since
/// 4.13). Its elements are read one after the other. A new map gets them again; several open files of one map open it by number.
/// </summary>
internal sealed class BpfMapFile : IFileKind
{
    private const ulong MostBytes = 1UL << 30;
    private const uint Kept = BpfMap.BPF_F_NO_PREALLOC | BpfMap.BPF_F_NUMA_NODE | BpfMap.BPF_F_ZERO_SEED | BpfMap.BPF_F_RDONLY_PROG | BpfMap.BPF_F_WRONLY_PROG
        | BpfMap.BPF_F_MMAPABLE;

    public FdTypes Type => FdTypes.Bpfmap;

    public bool Recognizes(OpenFile file) => file.Link.Bytes.SequenceEqual("anon_inode:bpf-map"u8);

    public (string Reason, string Remedy)? Objection(OpenFile file, TreeFiles tree)
    {
        const string Remedy = "close it before the dump";
        try
        {
            using SafeFileHandle map = BpfMap.OpenById(file.Info!.OtherNumber<uint>("map_id"u8));
            BpfMap.Info info = BpfMap.Describe(map);
            string? reason = !IsSupported(info.Type) ? $"it is a BPF map of type {info.Type}; arrays, hash tables and tries are supported"
                : (info.Flags & ~Kept) != 0 ? $"it is a BPF map with flags 0x{info.Flags & ~Kept:x} that cannot be given to a new one"
                : info.TypesId != 0 ? "it is a BPF map that is described by types of its own (BTF)"
                : info.InterfaceIndex != 0 ? "it is a BPF map of a network device"
                : info.MaxEntries * ((ulong)info.KeySize + info.ValueSize) > MostBytes ? "it is a BPF map of more than a gigabyte"
                : null;
            return reason is null ? null : (reason, Remedy);
        }
        catch (KernelException e)
        {
            return ($"it is a BPF map of which the kernel does not tell: {e.Message}", "CAP_SYS_ADMIN is needed; or close it before the dump");
        }
    }

    public FileEntry Save(OpenFile file, HeldFile held, uint id, FileImages images)
    {
        using SafeFileHandle map = BpfMap.OpenById(file.Info!.OtherNumber<uint>("map_id"u8));
        BpfMap.Info info = BpfMap.Describe(map);
        if (images.IsNewBpfMap(info.Id))
        {
            SaveContent(map, info, images);
        }

        return new FileEntry
        {
            Type = Type, Id = id,
            Bpf = new BpfmapFileEntry
            {
                Id = id, Flags = (uint)file.FileFlags, Pos = (ulong)file.Position, Fown = FileOwner.Save(file, images.Tree), MapType = info.Type,
                KeySize = info.KeySize, ValueSize = info.ValueSize, MapId = info.Id, MaxEntries = info.MaxEntries, MapFlags = info.Flags,
                Memlock = file.Info!.OtherNumber<uint>("memlock"u8), Frozen = file.Info!.OtherNumber<uint>("frozen"u8) != 0, MapName = info.Name, Ifindex = 0, MapExtra = info.Extra,
            },
        };
    }

    public void Validate(FileEntry entry, FileOpening opening)
    {
        BpfmapFileEntry saved = entry.Bpf;
        if (!IsSupported(saved.MapType) || (saved.MapFlags & ~Kept) != 0 || saved.Ifindex != 0)
        {
            throw new CriuException("FileKindNotSupported", CriuErrorKind.NotSupported, $"BPF map {saved.MapName} is of type {saved.MapType} with flags 0x{saved.MapFlags:x}");
        }

        (BpfmapDataEntry Entry, byte[] Content)? data = opening.BpfMapData(saved.MapId);
        bool whole = data is not { } found || (found.Entry.KeysBytes == (ulong)found.Entry.Count * saved.KeySize
            && found.Entry.ValuesBytes == (ulong)found.Entry.Count * saved.ValueSize && found.Entry.Count <= saved.MaxEntries);
        if (!whole)
        {
            throw new ImageException(ImageException.MalformedEntry, ImageType.BpfMapData.FileName(), 0, $"the elements of BPF map {saved.MapName} are none");
        }
    }

    public SafeFileHandle Open(FileEntry entry, FileOpening opening)
    {
        BpfmapFileEntry saved = entry.Bpf;
        SafeFileHandle map = opening.BpfMap(saved.MapId, () => Make(saved, opening.BpfMapData(saved.MapId)));
        int access = ((int)saved.Flags & Fcntl.O_ACCMODE) switch
        {
            Fcntl.O_RDONLY => BpfMap.BPF_F_RDONLY,
            Fcntl.O_WRONLY => BpfMap.BPF_F_WRONLY,
            _ => 0,
        };
        return BpfMap.OpenById(BpfMap.Describe(map).Id, access);
    }

    private static bool IsSupported(uint type) =>
        type is BpfMap.BPF_MAP_TYPE_HASH or BpfMap.BPF_MAP_TYPE_ARRAY or BpfMap.BPF_MAP_TYPE_LRU_HASH or BpfMap.BPF_MAP_TYPE_LPM_TRIE;

    private static void SaveContent(SafeFileHandle map, BpfMap.Info info, FileImages images)
    {
        using MemoryStream keys = new(), values = new();
        byte[] key = new byte[info.KeySize], value = new byte[info.ValueSize];
        uint count = 0;
        for (bool more = BpfMap.TryNextKey(map, [], key); more; more = BpfMap.TryNextKey(map, [.. key], key))
        {
            // A program of the kernel may take it away meanwhile.
            if (BpfMap.TryLookUp(map, key, value))
            {
                keys.Write(key);
                values.Write(value);
                count++;
            }
        }

        BpfmapDataEntry entry = new() { MapId = info.Id, KeysBytes = (uint)keys.Length, ValuesBytes = (uint)values.Length, Count = count };
        images.WriteBpfMap(entry, [.. keys.ToArray(), .. values.ToArray()]);
    }

    private static SafeFileHandle Make(BpfmapFileEntry saved, (BpfmapDataEntry Entry, byte[] Content)? data)
    {
        SafeFileHandle map = BpfMap.Create(new BpfMap.Info(
            saved.MapType, 0, saved.KeySize, saved.ValueSize, saved.MaxEntries, saved.MapFlags, saved.MapName, 0, 0, saved.MapExtra));
        ReadOnlySpan<byte> content = data?.Content, values = data is { } found ? content[(int)found.Entry.KeysBytes..] : default;
        for (int i = 0; i < data?.Entry.Count; i++)
        {
            BpfMap.Update(map, content.Slice(i * (int)saved.KeySize, (int)saved.KeySize), values.Slice(i * (int)saved.ValueSize, (int)saved.ValueSize));
        }

        if (saved.Frozen)
        {
            BpfMap.Freeze(map);
        }

        return map;
    }
}
