using CriuPS.Engine.Compel;
using CriuPS.Engine.Images;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects.Files;
using CriuPS.Engine.Objects.Memory;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Restore;

/// <summary>
/// Makes the memory of a process out of that which it was born with: keeps what is its own too, clears the rest, maps, reads pages. Advice, guards and
/// protections come last, when its children are born: they begin with memory that they can still write to.
/// </summary>
internal sealed class MemoryRestore
{
    private const int FilesAtOnce = 200;
    private const ulong BytesAtOnce = 1UL << 30;

    private readonly RestoreSite _site;
    private readonly SavedProcess _saved;
    private readonly MemoryRestore? _creator;
    private readonly RemoteBatch _batch;
    private readonly DescriptorChannel _channel;
    private readonly Dictionary<VmaEntry, uint> _protections = new(ReferenceEqualityComparer.Instance);
    private readonly Dictionary<VmaEntry, VmaEntry> _kept = new(ReferenceEqualityComparer.Instance);
    private readonly List<VmaEntry> _changed = [];
    private readonly List<PageExtent> _writes = [];
    private readonly List<(ulong Start, ulong End)> _drops = [];

    /// <param name="site">Where the restorer lives.</param>
    /// <param name="saved">The image.</param>
    /// <param name="creator">Whose memory the process was born with; null for the root.</param>
    /// <param name="batch">Takes its system calls.</param>
    /// <param name="channel">Brings files to it.</param>
    public MemoryRestore(RestoreSite site, SavedProcess saved, MemoryRestore? creator, RemoteBatch batch, DescriptorChannel channel)
    {
        (_site, _saved, _creator, _batch, _channel) = (site, saved, creator, batch, channel);
        if (creator is not null)
        {
            foreach ((VmaEntry own, VmaEntry creators) in InheritedMemory.Match(saved, creator._saved))
            {
                _kept.Add(own, creators);
            }
        }
    }

    /// <summary>Finds out what of the memory that it was born with has to change; everything else waits for that. Any thread may do it.</summary>
    public void Compare()
    {
        if (_saved.Pages is not { } chain)
        {
            return;
        }

        using PageComparison comparison = new(chain, _creator?._saved.Pages);
        foreach (VmaEntry own in _kept.Keys)
        {
            comparison.Compare(own.Start, own.End);
            if (comparison.Writes is [.., var last] && last.End > own.Start)
            {
                _changed.Add(own);
            }
        }

        _writes.AddRange(comparison.Writes);
        _drops.AddRange(comparison.Drops);
        (PagesCompared, PagesInCommon) = (comparison.Compared, comparison.Equal);
    }

    /// <summary>Pages that were read into memory of its own.</summary>
    public long Pages { get; private set; }

    /// <summary>Pages that were compared with those of the creator.</summary>
    public long PagesCompared { get; private set; }

    /// <summary>Those of them that were equal.</summary>
    public long PagesInCommon { get; private set; }

    /// <summary>Unmaps all that is not kept, and sets the borders of the address space and the executable.</summary>
    public void Clear()
    {
        ulong at = 0;
        IEnumerable<(ulong Start, ulong End)> stays = _kept.Keys.Select(e => (e.Start, e.End)).Append((_site.Arena.Address, _site.End));
        foreach ((ulong start, ulong end) in stays.OrderBy(s => s.Start))
        {
            Unmap(at, start);
            at = end;
        }

        Unmap(at, _site.Tracer.Architecture.TaskSize);
        if (_creator is not null && InheritedMemory.SameProgram(_saved, _creator._saved))
        {
            MemoryLayout.Restore(_batch, _saved.Mm, -1);
            return;
        }

        using SafeFileHandle exe = _saved.OpenNamed(_saved.Mm.ExeFileId, "the executable", Fcntl.O_RDONLY);
        RemoteDescriptor number = _channel.Send([exe])[0];
        _batch.Run();
        MemoryLayout.Restore(_batch, _saved.Mm, number.Value);
        _batch.Add("close", SyscallNumber.close, number);
    }

    /// <summary>Maps what was not kept.</summary>
    public void Map()
    {
        foreach ((VmaEntry own, VmaEntry creators) in _kept)
        {
            _protections[own] = _creator!._protections[creators];
        }

        List<VmaEntry> missing = [.. _saved.Mappings.Where(e => !_protections.ContainsKey(e))];
        foreach (VmaEntry entry in missing.Where(e => !MappedFile.Has(e)))
        {
            _protections[entry] = MappingRestore.Map(_batch, entry, null, HasContent(entry));
        }

        foreach (IGrouping<MappedFile, VmaEntry>[] group in missing.Where(MappedFile.Has).GroupBy(MappedFile.Of).Chunk(FilesAtOnce))
        {
            MapFiles(group);
        }
    }

    /// <summary>Reads the pages that are not there by birth.</summary>
    public void Fill()
    {
        if (_saved.Pages is not { } chain)
        {
            return;
        }

        List<PageExtent> wanted = [.. _saved.Mappings.Where(e => !IsShared(e) && !_kept.ContainsKey(e)).SelectMany(e => PageComparison.PagesIn(chain, e.Start, e.End))];
        ChangeKept();
        wanted.AddRange(_writes);
        foreach (IGrouping<int, PageExtent> level in wanted.OrderBy(e => e.Address).GroupBy(e => e.Level))
        {
            using SafeFileHandle file = chain.OpenPages(level.Key)
                ?? throw new ImageException(ImageException.MissingImage, "pages", 0, "the pages file is missing");
            RemoteDescriptor number = _channel.Send([file])[0];
            PageRestore.Read(_batch, [.. level.SelectMany(Pieces)], number);
            _batch.Add("close", SyscallNumber.close, number);
            Pages += level.Sum(e => (long)e.Pages);
        }
    }

    /// <summary>Gives every mapping its protection, advice, lock and name, puts guards in, and the vDSO in its place.</summary>
    public void Settle()
    {
        RestoreAioRings();
        Dictionary<ulong, CriupsMappingEntry> extras = Extras(_saved), creators = _creator is null ? [] : Extras(_creator._saved);
        foreach (VmaEntry entry in _saved.Mappings)
        {
            CriupsMappingEntry? extra = extras.GetValueOrDefault(entry.Start);
            bool born = _kept.TryGetValue(entry, out VmaEntry? theirs) && creators.GetValueOrDefault(theirs.Start) is { HasMemoryPolicy: true };
            MappingPolicies.Restore(_batch, entry, extra, born);
            MappingRestore.Settle(_batch, entry, extra, _protections[entry]);
        }

        foreach (VmaEntry guard in _saved.Mm.Vmas.Where(GuardRegions.IsGuard))
        {
            GuardRegions.Install(_batch, guard);
        }

        if (_saved.IsCompat)
        {
            _site.Vdso.PutCompatInPlace(_batch, _saved.Mm.Vmas);
            _batch.Run();
            Vdso.ValidateCompat(_batch.Task.Pid, _saved.Mm.Vmas, _saved.ReadMemory);
        }
        else
        {
            _site.Vdso.PutInPlace(_batch, _saved.Mm.Vmas);
        }
    }

    private void RestoreAioRings()
    {
        if (_saved.Mm.Aios.Count == 0)
        {
            return;
        }

        using SafeFileHandle sink = OpenAt.Open("/dev/null", Fcntl.O_WRONLY);
        RemoteDescriptor number = _channel.Send([sink])[0];
        foreach (AioRingEntry ring in _saved.Mm.Aios)
        {
            AioRing.Restore(_batch, ring, number);
        }

        _batch.Add("close", SyscallNumber.close, number);
    }

    private static Dictionary<ulong, CriupsMappingEntry> Extras(SavedProcess saved) => saved.Extra?.Mappings.ToDictionary(extra => extra.Start) ?? [];

    private static bool IsShared(VmaEntry entry) => ((VmaStatus)entry.Status & (VmaStatus.FileShared | VmaStatus.AnonymousShared)) != 0;

    // Whether saved pages lie in a mapping.
    private bool HasContent(VmaEntry entry) =>
        !IsShared(entry) && _saved.Pages is { } pages && PageComparison.PagesIn(pages, entry.Start, entry.End).Any();

    private void Unmap(ulong start, ulong end)
    {
        if (start < end)
        {
            _batch.Add("munmap of inherited memory", SyscallNumber.munmap, start, end - start);
        }
    }

    private void MapFiles(IGrouping<MappedFile, VmaEntry>[] group)
    {
        List<SafeFileHandle> files = [];
        try
        {
            foreach (IGrouping<MappedFile, VmaEntry> users in group)
            {
                files.Add(_saved.OpenMapped(users.First()));
            }

            RemoteDescriptor[] numbers = _channel.Send(files);
            for (int i = 0; i < group.Length; i++)
            {
                foreach (VmaEntry entry in group[i])
                {
                    _protections[entry] = MappingRestore.Map(_batch, entry, numbers[i], HasContent(entry));
                }

                _batch.Add("close", SyscallNumber.close, numbers[i]);
            }
        }
        finally
        {
            files.ForEach(f => f.Dispose());
        }
    }

    // Drops what the creator alone has, and makes writable where something else has to be written.
    private void ChangeKept()
    {
        foreach (VmaEntry own in _changed.Where(own => (_protections[own] & Kernel.Memory.PROT_WRITE) == 0))
        {
            _protections[own] = own.Prot | Kernel.Memory.PROT_WRITE;
            MappingRestore.Protect(_batch, own, _protections[own]);
        }

        foreach ((ulong start, ulong end) in _drops)
        {
            _batch.Add("madvise(MADV_DONTNEED)", SyscallNumber.madvise, start, end - start, Kernel.Memory.MADV_DONTNEED);
        }
    }

    // One call reads less than 2 GiB, read(2).
    private static IEnumerable<PageExtent> Pieces(PageExtent extent)
    {
        for (ulong start = extent.Address; start < extent.End;)
        {
            ulong length = Math.Min(extent.End - start, BytesAtOnce);
            yield return extent with
            {
                Address = start, Pages = length / Kernel.Memory.PageSize, Offset = extent.Offset + (long)(start - extent.Address),
            };
            start += length;
        }
    }
}
