using CriuPS.Engine.Compel;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Objects.Memory;

/// <summary>
/// The vDSO: code of the kernel in every process ([vdso]) and the data that it reads ([vvar], since Linux 6.13 also [vvar_vclock]). The process holds
/// pointers into it, so it must come back at the same place. mremap(2) moves the newborn's own: each of the special mappings for itself,
/// first aside, where children inherit it, and then to the old place. Images keep the code, so that another kernel's can be told from ours.
/// </summary>
internal sealed class Vdso
{
    // arch/x86/include/uapi/asm/prctl.h
    private const int ARCH_MAP_VDSO_32 = 0x2002;

    private readonly IReadOnlyList<Vma> _own;
    private ulong _aside;

    /// <param name="own">The newborn's mappings.</param>
    public Vdso(IEnumerable<Vma> own) => _own = [.. own.Where(v => v.IsVdso || IsVvar(v)).OrderBy(v => v.Start)];

    /// <summary>Bytes that are needed to put it aside.</summary>
    public ulong Size => _own.Aggregate(0UL, (sum, vma) => sum + vma.Length);

    public static bool IsVvar(Vma vma) => vma.Path.Bytes.SequenceEqual("[vvar]"u8) || vma.Path.Bytes.SequenceEqual("[vvar_vclock]"u8);

    /// <summary>The code of a newborn's vDSO; empty where the kernel gives it none.</summary>
    public byte[] ReadCode(int pid)
    {
        if (_own.Where(v => v.IsVdso).Select(v => (Vma?)v).FirstOrDefault() is not { } own)
        {
            return [];
        }

        byte[] code = new byte[own.Length];
        ProcessVm.Read(pid, own.Start, code);
        return code;
    }

    /// <summary>Fails if the image's vDSO cannot be replaced by the newborn's own.</summary>
    /// <param name="ownCode">The code of the newborn's, from <see cref="ReadCode"/>.</param>
    /// <param name="entries">The image's mappings.</param>
    /// <param name="readImage">Reads the image's memory at an address.</param>
    public void Validate(byte[] ownCode, IEnumerable<VmaEntry> entries, Func<ulong, byte[], bool> readImage)
    {
        List<VmaEntry> saved = [.. entries];
        VmaEntry? code = saved.Find(e => Is(e, VmaStatus.Vdso));
        VmaEntry? data = saved.Find(e => Is(e, VmaStatus.Vvar));
        if (code is null)
        {
            return;
        }

        ulong ownData = _own.Where(IsVvar).Aggregate(0UL, (sum, v) => sum + v.Length);
        bool sameSize = (ulong)ownCode.Length == code.End - code.Start && (data is null || ownData == data.End - data.Start);
        byte[] theirs = new byte[ownCode.Length];
        if (!sameSize || !readImage(code.Start, theirs) || !ownCode.AsSpan().SequenceEqual(theirs))
        {
            throw Foreign();
        }
    }

    /// <summary>Moves the newborn's vDSO to a place of ours.</summary>
    public void PutAside(RemoteBatch batch, ulong address)
    {
        _aside = address;
        foreach (Vma vma in _own)
        {
            Move(batch, vma.Start, address, vma.Length);
            address += vma.Length;
        }
    }

    /// <summary>
    /// Makes a 32-bit program's vDSO in the place of the newborn's, arch_prctl(ARCH_MAP_VDSO_32): a process has one at most (arch/x86/entry/vdso/vma.c, map_vdso_once).
    /// </summary>
    public void PutCompatInPlace(RemoteBatch batch, IEnumerable<VmaEntry> entries)
    {
        batch.Add("munmap of the vDSO", SyscallNumber.munmap, _aside, Size);
        IEnumerable<ulong> places = entries.Where(e => Is(e, VmaStatus.Vdso) || Is(e, VmaStatus.Vvar)).Select(e => e.Start);
        if (places.Any())
        {
            batch.Add("arch_prctl(ARCH_MAP_VDSO_32)", SyscallNumber.arch_prctl, ARCH_MAP_VDSO_32, places.Min());
        }
    }

    /// <summary>Fails if the 32-bit vDSO that the kernel has made is not that of the image.</summary>
    public static void ValidateCompat(int pid, IEnumerable<VmaEntry> entries, Func<ulong, byte[], bool> readImage)
    {
        foreach (VmaEntry code in entries.Where(e => Is(e, VmaStatus.Vdso)))
        {
            byte[] ours = new byte[code.End - code.Start], theirs = new byte[ours.Length];
            if (!ProcessVm.TryRead(pid, code.Start, ours) || !readImage(code.Start, theirs) || !ours.AsSpan().SequenceEqual(theirs))
            {
                throw Foreign();
            }
        }
    }

    /// <summary>Moves it to where the image has it, or away where the image has none.</summary>
    public void PutInPlace(RemoteBatch batch, IEnumerable<VmaEntry> entries)
    {
        List<VmaEntry> saved = [.. entries];
        ulong? code = saved.Find(e => Is(e, VmaStatus.Vdso))?.Start;
        ulong? data = saved.Find(e => Is(e, VmaStatus.Vvar))?.Start;
        ulong from = _aside;
        foreach (Vma vma in _own)
        {
            if (vma.IsVdso ? code is not null : data is not null)
            {
                ulong to = vma.IsVdso ? code!.Value : data!.Value;
                Move(batch, from, to, vma.Length);
                data = vma.IsVdso ? data : data + vma.Length;
            }
            else
            {
                batch.Add("munmap of the vDSO", SyscallNumber.munmap, from, vma.Length);
            }

            from += vma.Length;
        }
    }

    private static CriuException Foreign() =>
        new("ForeignVdso", CriuErrorKind.NotSupported, "the process was dumped on another kernel: its vDSO differs from this one's")
        {
            Subject = "[vdso]", Remedy = "restore on a machine with the kernel that it was dumped on",
        };

    private static bool Is(VmaEntry entry, VmaStatus status) => ((VmaStatus)entry.Status & status) != 0;

    private static void Move(RemoteBatch batch, ulong from, ulong to, ulong length) =>
        batch.Add(
            $"mremap of the vDSO to {to:x}",
            SyscallNumber.mremap,
            from,
            length,
            length,
            Kernel.Memory.MREMAP_MAYMOVE | Kernel.Memory.MREMAP_FIXED,
            to);
}
