using System.Runtime.InteropServices;
using CriuPS.Engine.Compel;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects.Signals;
using CriuPS.Engine.Restore;

namespace CriuPS.Engine.Objects.Cpu;

/// <summary>
/// What a task of a 32-bit program has besides: slots for thread-local storage in the GDT (thread_struct.tls_array; ptrace reads and writes them), a list of
/// robust futexes of its own (task_struct.compat_robust_list), and signal actions of which the kernel remembers that they were set by a 32-bit call, so
/// that handlers get a 32-bit frame (SA_IA32_ABI). The last two are set by single calls of the 32-bit interface at the end of a restore.
/// </summary>
internal static class CompatTask
{
    // arch/x86/include/asm/segment.h: GDT_ENTRY_TLS_MIN, GDT_ENTRY_TLS_ENTRIES.
    private const int FirstSlot = 12, Slots = 3;

    // A selector has the number of its entry above its privilege level and the bit that tells the tables apart.
    private const int SelectorShift = 3;

    // The bit fields of struct user_desc.
    private const uint Seg32Bit = 1, ContentsLow = 2, ContentsHigh = 4, ReadExecOnly = 8, LimitInPages = 16, NotPresent = 32, Usable = 64;

    [StructLayout(LayoutKind.Sequential)]
    private struct CompatSigAction
    {
        public uint sa_handler;
        public uint sa_flags;
        public uint sa_restorer;
        public uint sa_mask_low;
        public uint sa_mask_high;
    }

    /// <summary>Notes what ptrace and the kernel tell of the task.</summary>
    public static void Save(TaskDump dump)
    {
        if (!dump.Process.IsCompat)
        {
            return;
        }

        for (int slot = FirstSlot; slot < FirstSlot + Slots; slot++)
        {
            if (Ptrace.TryGetThreadArea(dump.Task.Tid, slot, out Ptrace.user_desc area))
            {
                dump.Core.ThreadInfo.Tls.Add(Entry(area));
            }
        }

        (uint head, uint length) = CompatCall.GetRobustList(dump.Task.Tid);
        (dump.Core.ThreadCore.FutexRla, dump.Core.ThreadCore.FutexRlaLen) = (head, length);
    }

    /// <summary>Gives it to a restored task, when no program of ours runs in it any more.</summary>
    public static void Restore(Tracee task, TaskRestore restore, RestoreSite site)
    {
        if (!restore.IsCompat)
        {
            return;
        }

        foreach (UserDescT slot in restore.Core.ThreadInfo.Tls)
        {
            Ptrace.SetThreadArea(task.Tid, Area(slot));
        }

        ThreadCoreEntry core = restore.Core.ThreadCore;
        if (core.FutexRla != 0)
        {
            int result = task.RunCompatSyscall(site.Arena.CompatSyscallAt, CompatCall.set_robust_list, (uint)core.FutexRla, core.FutexRlaLen);
            Syscall.Check(result, "set_robust_list, 32-bit");
        }

        if (restore.IsLeader)
        {
            RestoreActions(task, restore.Core, site);
        }
    }

    /// <summary>
    /// The base of a segment that leads to a slot of a 32-bit task; null where it leads to none. Sets of CRIU do not tell it otherwise: the processor finds it
    /// when the segment register is loaded.
    /// </summary>
    public static ulong? SegmentBase(ThreadInfoX86 image, ulong selector) =>
        image.Gpregs.Mode == UserX86RegsMode.Compat ? image.Tls.FirstOrDefault(slot => slot.EntryNumber == selector >> SelectorShift)?.BaseAddr : null;

    private static void RestoreActions(Tracee leader, CoreEntry core, RestoreSite site)
    {
        foreach ((int signal, SaEntry entry) in SignalActions.Numbers().Zip(core.Tc.Sigactions))
        {
            if (SignalActions.IsDefault(entry))
            {
                continue;
            }

            CompatSigAction action = new()
            {
                sa_handler = (uint)entry.Sigaction, sa_flags = (uint)entry.Flags, sa_restorer = (uint)entry.Restorer,
                sa_mask_low = (uint)entry.Mask, sa_mask_high = (uint)(entry.Mask >> 32),
            };
            ProcessVm.Write(leader.Pid, site.Arena.Data, MemoryMarshal.AsBytes(new ReadOnlySpan<CompatSigAction>(in action)));
            int result = leader.RunCompatSyscall(
                site.Arena.CompatSyscallAt, CompatCall.rt_sigaction, (uint)signal, (uint)site.Arena.Data, 0, sizeof(ulong));
            Syscall.Check(result, () => $"rt_sigaction({signal}), 32-bit");
        }
    }

    private static UserDescT Entry(Ptrace.user_desc area)
    {
        bool Has(uint flag) => (area.flags & flag) != 0;
        return new UserDescT
        {
            EntryNumber = area.entry_number, BaseAddr = area.base_addr, Limit = area.limit, Seg32Bit = Has(Seg32Bit), ContentsH = Has(ContentsHigh),
            ContentsL = Has(ContentsLow), ReadExecOnly = Has(ReadExecOnly), LimitInPages = Has(LimitInPages), SegNotPresent = Has(NotPresent), Usable = Has(Usable),
        };
    }

    private static Ptrace.user_desc Area(UserDescT entry) => new()
    {
        entry_number = entry.EntryNumber, base_addr = entry.BaseAddr, limit = entry.Limit,
        flags = (entry.Seg32Bit ? Seg32Bit : 0) | (entry.ContentsL ? ContentsLow : 0) | (entry.ContentsH ? ContentsHigh : 0)
            | (entry.ReadExecOnly ? ReadExecOnly : 0) | (entry.LimitInPages ? LimitInPages : 0) | (entry.SegNotPresent ? NotPresent : 0)
            | (entry.Usable ? Usable : 0),
    };
}
