using System.Runtime.InteropServices;

namespace CriuPS.Engine.Compel.X64;

/// <summary>
/// The frame that rt_sigreturn(2) reads: struct ucontext and the extended state behind it (arch/x86/include/uapi/asm/sigcontext.h,
/// arch/x86/kernel/signal_64.c and kernel/fpu/signal.c).
/// </summary>
internal static class SignalFrameX64
{
    /// <summary>Offset of uc_stack in struct ucontext.</summary>
    public const int StackOffset = 16;

    private const int ContextOffset = 40, ContextSize = 256, MaskOffset = ContextOffset + ContextSize, ExtendedOffset = 320;
    private const int NoStackMode = 4;
    private const ulong UC_FP_XSTATE = 1, UC_SIGCONTEXT_SS = 2, UC_STRICT_RESTORE_SS = 4;
    private const uint FP_XSTATE_MAGIC1 = 0x46505853, FP_XSTATE_MAGIC2 = 0x46505845;
    private const int SoftwareOffset = 464, HeaderOffset = 512, LegacySize = 512;

    // The tile registers of AMX are last in the area, and a frame of the default size has no room for them.
    private const ulong TileFeatures = 3UL << 17;
    private const int TileOffset = 2752;

    public static int Size(int extendedSize) => (ExtendedOffset + extendedSize + sizeof(uint) + 63) & ~63;

    public static ulong Build(Span<byte> frame, ulong address, in UserRegs regs, ReadOnlySpan<byte> extended, ulong signalMask)
    {
        frame.Clear();
        MemoryMarshal.Write(frame, UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS);
        Span<ulong> context = MemoryMarshal.Cast<byte, ulong>(frame.Slice(ContextOffset, ContextSize));
        ReadOnlySpan<ulong> order =
        [
            regs.r8, regs.r9, regs.r10, regs.r11, regs.r12, regs.r13, regs.r14, regs.r15, regs.di, regs.si, regs.bp, regs.bx, regs.dx,
            regs.ax, regs.cx, regs.sp, regs.ip, regs.flags, regs.cs | (regs.ss << 48), 0, 0, 0, 0, address + ExtendedOffset,
        ];
        order.CopyTo(context);

        // sigreturn sets the alternate stack too, but passes over one with a mode that does not exist (kernel/signal.c, restore_altstack).
        MemoryMarshal.Write(frame[(StackOffset + sizeof(ulong))..], NoStackMode);
        MemoryMarshal.Write(frame[MaskOffset..], signalMask);
        WriteExtended(frame[ExtendedOffset..], extended);
        return address;
    }

    private static void WriteExtended(Span<byte> area, ReadOnlySpan<byte> extended)
    {
        ulong features = MemoryMarshal.Read<ulong>(extended[SoftwareOffset..]);
        if ((features & TileFeatures) != 0)
        {
            features &= ~TileFeatures;
            extended = extended[..Math.Min(extended.Length, TileOffset)];
        }

        extended.CopyTo(area);
        Span<byte> software = area[SoftwareOffset..LegacySize];
        software.Clear();
        MemoryMarshal.Write(software, FP_XSTATE_MAGIC1);
        MemoryMarshal.Write(software[4..], (uint)(extended.Length + sizeof(uint)));
        MemoryMarshal.Write(software[8..], features);
        MemoryMarshal.Write(software[16..], (uint)extended.Length);
        ulong present = MemoryMarshal.Read<ulong>(area[HeaderOffset..]);
        MemoryMarshal.Write(area[HeaderOffset..], present & features);
        MemoryMarshal.Write(area[extended.Length..], FP_XSTATE_MAGIC2);
    }
}
