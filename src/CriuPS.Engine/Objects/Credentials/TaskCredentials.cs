using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using CriuPS.Engine.Compel;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Objects.Credentials;

/// <summary>
/// Who a thread acts as (struct cred, credentials(7), capabilities(7)): user and group ids, supplementary groups, five capability sets, securebits,
/// no_new_privs. /proc/PID/task/TID/status tells all but securebits, which the thread itself tells. The thread sets them itself, last of all that
/// needs privileges; ids are changed with the "no fixup" securebit so that capabilities stay until they are set.
/// </summary>
internal sealed class TaskCredentials : ITaskState
{
    private const int LastCapability = 63;
    private const uint CapabilityVersion3 = 0x20080522;
    private const int SecureNoSetuidFixup = 1 << 2, SecureKeepCaps = 1 << 4;

    /// <summary>struct __user_cap_header_struct, followed in memory by two of struct __user_cap_data_struct.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct CapabilitySets
    {
        public uint version;
        public int pid;
        public uint effective_low, permitted_low, inheritable_low;
        public uint effective_high, permitted_high, inheritable_high;
    }

    public Action? Ask(TaskDump dump, SyscallProgram program)
    {
        Operation securebits = program.Add("prctl(PR_GET_SECUREBITS)", SyscallNumber.prctl, Prctl.PR_GET_SECUREBITS);
        return () => dump.Core.ThreadCore.Creds = Entry(dump.Credentials, (uint)program.Result(securebits));
    }

    public void Restore(TaskRestore restore)
    {
        CredsEntry creds = restore.Core.ThreadCore.Creds ?? restore.LeaderCore.ThreadCore.Creds;
        RemoteBatch batch = restore.Batch;
        SetGroups(batch, creds);
        batch.Add("prctl(PR_SET_SECUREBITS)", SyscallNumber.prctl, Prctl.PR_SET_SECUREBITS, SecureNoSetuidFixup | SecureKeepCaps);
        batch.Add($"setresgid({creds.Gid}, {creds.Egid}, {creds.Sgid})", SyscallNumber.setresgid, (long)creds.Gid, (long)creds.Egid, (long)creds.Sgid);
        batch.Add("setfsgid", SyscallNumber.setfsgid, (long)creds.Fsgid);
        batch.Add($"setresuid({creds.Uid}, {creds.Euid}, {creds.Suid})", SyscallNumber.setresuid, (long)creds.Uid, (long)creds.Euid, (long)creds.Suid);
        batch.Add("setfsuid", SyscallNumber.setfsuid, (long)creds.Fsuid);
        SetCapabilities(batch, creds);
        if (creds.NoNewPrivs != 0)
        {
            batch.Add("prctl(PR_SET_NO_NEW_PRIVS)", SyscallNumber.prctl, Prctl.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        }
    }

    private static CredsEntry Entry(ProcCredentials who, uint securebits)
    {
        CredsEntry creds = new()
        {
            Uid = who.Uid.Real, Euid = who.Uid.Effective, Suid = who.Uid.Saved, Fsuid = who.Uid.FileSystem,
            Gid = who.Gid.Real, Egid = who.Gid.Effective, Sgid = who.Gid.Saved, Fsgid = who.Gid.FileSystem,
            Secbits = securebits,
        };
        creds.CapInh.AddRange(Words(who.Inheritable));
        creds.CapPrm.AddRange(Words(who.Permitted));
        creds.CapEff.AddRange(Words(who.Effective));
        creds.CapBnd.AddRange(Words(who.Bounding));
        creds.CapAmb.AddRange(Words(who.Ambient));
        creds.Groups.AddRange(who.Groups);
        if (who.NoNewPrivileges)
        {
            creds.NoNewPrivs = 1;
        }

        return creds;
    }

    private static void SetGroups(RemoteBatch batch, CredsEntry creds)
    {
        uint[] groups = [.. creds.Groups];
        SyscallProgram program = batch.Room(1, groups.Length * sizeof(uint));
        ulong list = program.Put(MemoryMarshal.AsBytes(groups.AsSpan()));
        program.Add($"setgroups of {groups.Length} groups", SyscallNumber.setgroups, groups.Length, list);
    }

    // The bounding set can only shrink; what a newborn has beyond the saved set goes. Bits above the kernel's last capability give EINVAL.
    private static void DropBoundingSet(RemoteBatch batch, ulong wanted)
    {
        for (int capability = 0; capability <= LastCapability; capability++)
        {
            if ((wanted & (1UL << capability)) == 0)
            {
                batch.Room(1).Try("prctl(PR_CAPBSET_DROP)", SyscallNumber.prctl, Prctl.PR_CAPBSET_DROP, capability);
            }
        }
    }

    // Securebits need CAP_SETPCAP and ambient capabilities need permitted and inheritable ones: first permitted and inheritable are set while
    // everything is still effective, then these, then the effective set. The inheritable set may exceed the bounding set only if it is set first.
    private static void SetCapabilities(RemoteBatch batch, CredsEntry creds)
    {
        const int SetpcapBit = 8;
        ulong permitted = Set(creds.CapPrm), inheritable = Set(creds.CapInh), effective = Set(creds.CapEff);
        ulong ambient = Set(creds.CapAmb);
        PutCapabilities(batch, permitted | (1UL << SetpcapBit), permitted | (1UL << SetpcapBit), inheritable);
        DropBoundingSet(batch, Set(creds.CapBnd));
        batch.Add("prctl(PR_CAP_AMBIENT_CLEAR_ALL)", SyscallNumber.prctl, Prctl.PR_CAP_AMBIENT, Prctl.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
        for (int capability = 0; capability <= LastCapability; capability++)
        {
            if ((ambient & (1UL << capability)) != 0)
            {
                batch.Add("prctl(PR_CAP_AMBIENT_RAISE)", SyscallNumber.prctl, Prctl.PR_CAP_AMBIENT, Prctl.PR_CAP_AMBIENT_RAISE, capability, 0, 0);
            }
        }

        batch.Add($"prctl(PR_SET_SECUREBITS, 0x{creds.Secbits:x})", SyscallNumber.prctl, Prctl.PR_SET_SECUREBITS, (long)creds.Secbits);
        PutCapabilities(batch, effective, permitted, inheritable);
    }

    private static void PutCapabilities(RemoteBatch batch, ulong effective, ulong permitted, ulong inheritable)
    {
        CapabilitySets sets = new()
        {
            version = CapabilityVersion3,
            effective_low = (uint)effective, permitted_low = (uint)permitted, inheritable_low = (uint)inheritable,
            effective_high = (uint)(effective >> 32), permitted_high = (uint)(permitted >> 32), inheritable_high = (uint)(inheritable >> 32),
        };
        SyscallProgram program = batch.Room(1, Unsafe.SizeOf<CapabilitySets>());
        ulong header = program.Put(sets);
        program.Add("capset", SyscallNumber.capset, header, header + 8);
    }

    private static uint[] Words(ulong set) => [(uint)set, (uint)(set >> 32)];

    private static ulong Set(IReadOnlyList<uint> words) => words.Count == 0 ? 0 : words[0] | (words.Count > 1 ? (ulong)words[1] << 32 : 0);
}
