using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using CriuPS.Engine.Compel;
using CriuPS.Engine.Compel.X64;
using Google.Protobuf.Collections;

namespace CriuPS.Engine.Objects.Cpu;

/// <summary>
/// What an x86-64 processor holds of a task, between ptrace's register sets and the image: general registers (NT_PRSTATUS), x87, SSE, AVX, AVX-512 and
/// protection keys (NT_X86_XSTATE, Intel's manual, volume 1, chapter 13: legacy area, header, then the components, see <see cref="XsaveLayout"/>).
/// </summary>
internal static class RegistersX64
{
    private const int LegacySize = XsaveLayout.LegacySize, HeaderSize = XsaveLayout.HeaderEnd - LegacySize, SoftwareOffset = 464;
    private const int StOffset = 32, XmmOffset = 160, PaddingOffset = 416;

    /// <summary>The components that images have a place for: number in XCR0, and words of 32 or 64 bits.</summary>
    private const int Ymm = 2, Bndregs = 3, Bndcsr = 4, Opmask = 5, ZmmUpper = 6, Hi16Zmm = 7, Pkru = 9;

    private const ulong Known = 3 | (1 << Ymm) | (1 << Bndregs) | (1 << Bndcsr) | (1 << Opmask) | (1 << ZmmUpper) | (1 << Hi16Zmm) | (1 << Pkru);

    /// <summary>Components in use that images have no place for, as bits of XCR0.</summary>
    public static ulong UnknownComponents(ReadOnlySpan<byte> extended) => MemoryMarshal.Read<ulong>(extended[LegacySize..]) & ~Known;

    /// <summary>The image of registers.</summary>
    public static ThreadInfoX86 Save(TaskRegisters registers)
    {
        ref readonly UserRegs r = ref X64Architecture.Registers(registers.General.AsSpan());
        return new ThreadInfoX86
        {
            ClearTidAddr = 0,
            Gpregs = new UserX86RegsEntry
            {
                R15 = r.r15, R14 = r.r14, R13 = r.r13, R12 = r.r12, Bp = r.bp, Bx = r.bx, R11 = r.r11, R10 = r.r10, R9 = r.r9, R8 = r.r8,
                Ax = r.ax, Cx = r.cx, Dx = r.dx, Si = r.si, Di = r.di, OrigAx = r.orig_ax, Ip = r.ip, Cs = r.cs, Flags = r.flags, Sp = r.sp,
                Ss = r.ss, FsBase = r.fs_base, GsBase = r.gs_base, Ds = r.ds, Es = r.es, Fs = r.fs, Gs = r.gs,
                Mode = r.cs == X64Architecture.CompatCodeSegment ? UserX86RegsMode.Compat : UserX86RegsMode.Native,
            },
            Fpregs = SaveExtended(registers.Extended),
        };
    }

    /// <summary>Registers of an image, in the layout of this machine.</summary>
    /// <param name="image">The image.</param>
    /// <param name="template">The extended state of a task of this machine: its layout and what the image does not know.</param>
    /// <param name="signalMask">The blocked signals.</param>
    public static TaskRegisters Load(ThreadInfoX86 image, ReadOnlySpan<byte> template, ulong signalMask)
    {
        UserX86RegsEntry g = image.Gpregs;
        UserRegs r = new()
        {
            r15 = g.R15, r14 = g.R14, r13 = g.R13, r12 = g.R12, bp = g.Bp, bx = g.Bx, r11 = g.R11, r10 = g.R10, r9 = g.R9, r8 = g.R8,
            ax = g.Ax, cx = g.Cx, dx = g.Dx, si = g.Si, di = g.Di, orig_ax = ulong.MaxValue, ip = g.Ip, cs = g.Cs, flags = g.Flags, sp = g.Sp,
            ss = g.Ss, fs_base = CompatTask.SegmentBase(image, g.Fs) ?? g.FsBase, gs_base = CompatTask.SegmentBase(image, g.Gs) ?? g.GsBase, ds = g.Ds, es = g.Es, fs = g.Fs, gs = g.Gs,
        };
        byte[] extended = template.ToArray();
        LoadExtended(image.Fpregs, extended);
        return new TaskRegisters(MemoryMarshal.AsBytes(new ReadOnlySpan<UserRegs>(in r)).ToArray(), extended, signalMask);
    }

    private static UserX86FpregsEntry SaveExtended(ReadOnlySpan<byte> area)
    {
        UserX86FpregsEntry fp = new()
        {
            Cwd = Read<ushort>(area, 0), Swd = Read<ushort>(area, 2), Twd = Read<ushort>(area, 4), Fop = Read<ushort>(area, 6),
            Rip = Read<ulong>(area, 8), Rdp = Read<ulong>(area, 16), Mxcsr = Read<uint>(area, 24), MxcsrMask = Read<uint>(area, 28),
            Xsave = new UserX86XsaveEntry { XstateBv = Read<ulong>(area, LegacySize) & Known },
        };
        Add(fp.StSpace, area[StOffset..XmmOffset]);
        Add(fp.XmmSpace, area[XmmOffset..PaddingOffset]);
        Add(fp.Padding, area.Slice(PaddingOffset, 24 * sizeof(uint)));
        UserX86XsaveEntry x = fp.Xsave;
        ulong enabled = Read<ulong>(area, SoftwareOffset);
        Add(x.YmmhSpace, Component(area, enabled, Ymm));
        Add(x.BndregState, Component(area, enabled, Bndregs));
        Add(x.BndcsrState, Component(area, enabled, Bndcsr));
        Add(x.OpmaskReg, Component(area, enabled, Opmask));
        Add(x.ZmmUpper, Component(area, enabled, ZmmUpper));
        Add(x.Hi16Zmm, Component(area, enabled, Hi16Zmm));
        Add(x.Pkru, Component(area, enabled, Pkru));
        return fp;
    }

    private static void LoadExtended(UserX86FpregsEntry fp, Span<byte> area)
    {
        ulong enabled = Read<ulong>(area, SoftwareOffset);
        Write(area, 0, (ushort)fp.Cwd);
        Write(area, 2, (ushort)fp.Swd);
        Write(area, 4, (ushort)fp.Twd);
        Write(area, 6, (ushort)fp.Fop);
        Write(area, 8, fp.Rip);
        Write(area, 16, fp.Rdp);
        Write(area, 24, fp.Mxcsr);
        Copy(fp.StSpace, area[StOffset..XmmOffset]);
        Copy(fp.XmmSpace, area[XmmOffset..PaddingOffset]);
        area.Slice(LegacySize, HeaderSize).Clear();
        if (fp.Xsave is not { } x)
        {
            Write(area, LegacySize, 3UL);
            return;
        }

        Write(area, LegacySize, x.XstateBv & enabled & Known);
        Copy(x.YmmhSpace, Component(area, enabled, Ymm));
        Copy(x.BndregState, Component(area, enabled, Bndregs));
        Copy(x.BndcsrState, Component(area, enabled, Bndcsr));
        Copy(x.OpmaskReg, Component(area, enabled, Opmask));
        Copy(x.ZmmUpper, Component(area, enabled, ZmmUpper));
        Copy(x.Hi16Zmm, Component(area, enabled, Hi16Zmm));
        Copy(x.Pkru, Component(area, enabled, Pkru));
    }

    // Sizes are architectural; offsets are the processor's own and are asked of it.
    private static Span<byte> Component(Span<byte> area, ulong enabled, int number)
    {
        if ((enabled & (1UL << number)) == 0)
        {
            return [];
        }

        (int size, int offset) = XsaveLayout.Component(area, number);
        return offset + size <= area.Length ? area.Slice(offset, size) : [];
    }

    private static ReadOnlySpan<byte> Component(ReadOnlySpan<byte> area, ulong enabled, int number)
    {
        (int size, int offset) = (enabled & (1UL << number)) == 0 ? (0, 0) : XsaveLayout.Component(area, number);
        return offset + size <= area.Length ? area.Slice(offset, size) : [];
    }

    private static T Read<T>(ReadOnlySpan<byte> area, int offset) where T : unmanaged => MemoryMarshal.Read<T>(area[offset..]);

    private static void Write<T>(Span<byte> area, int offset, T value) where T : unmanaged => MemoryMarshal.Write(area[offset..], value);

    private static void Add<T>(RepeatedField<T> field, ReadOnlySpan<byte> bytes) where T : unmanaged
    {
        field.Capacity = bytes.Length / Unsafe.SizeOf<T>();
        foreach (T word in MemoryMarshal.Cast<byte, T>(bytes))
        {
            field.Add(word);
        }
    }

    private static void Copy<T>(RepeatedField<T> field, Span<byte> bytes) where T : unmanaged
    {
        Span<T> words = MemoryMarshal.Cast<byte, T>(bytes);
        for (int i = 0; i < Math.Min(field.Count, words.Length); i++)
        {
            words[i] = field[i];
        }
    }
}
