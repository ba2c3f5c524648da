using System.Runtime.InteropServices;
using CriuPS.Engine.Compel;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// Who is told when a file becomes ready, and by which signal (struct fown_struct, fcntl(2)). F_GETOWN_EX, F_GETOWNER_UIDS and F_GETSIG tell it of the very
/// open file; the process itself sets it again by F_SETOWN_EX and F_SETSIG, with the user ids that set it then, because the kernel notes the caller's.
/// </summary>
internal static class FileOwner
{
    private const int F_SETSIG = 10, F_SETOWN_EX = 15, F_GETOWN_EX = 16, F_GETOWNER_UIDS = 17;
    private const uint F_OWNER_TID = 0;
    private const int SecureNoSetuidFixup = 1 << 2;

    /// <summary>struct f_owner_ex.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct f_owner_ex
    {
        public int type;
        public int pid;
    }

    /// <summary>struct of two uid_t, as F_GETOWNER_UIDS fills it.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct UserIds
    {
        public uint uid;
        public uint euid;
    }

    /// <summary>Nobody.</summary>
    public static FownEntry None() => new() { Uid = 0, Euid = 0, Signum = 0, PidType = 0, Pid = 0 };

    /// <summary>The owner of an open file.</summary>
    /// <param name="Signal">The signal; 0 for the usual one.</param>
    /// <param name="Type">F_OWNER_TID, F_OWNER_PID or F_OWNER_PGRP.</param>
    /// <param name="Pid">The task, process or group; 0 for nobody.</param>
    /// <param name="Uid">The real user id of whoever set it.</param>
    /// <param name="Euid">Its effective one.</param>
    internal readonly record struct Owner(int Signal, int Type, int Pid, uint Uid, uint Euid);

    /// <summary>Asks an open file for its owner.</summary>
    /// <param name="file">The file.</param>
    /// <param name="flags">How it was opened.</param>
    public static Owner Of(in BorrowedDescriptor file, long flags)
    {
        if ((flags & Fcntl.O_PATH) != 0)
        {
            return default;
        }

        int signal = (int)Fcntl.Control(file, Fcntl.F_GETSIG);
        f_owner_ex owner = Fcntl.Get<f_owner_ex>(file, F_GETOWN_EX);
        UserIds ids = owner.pid != 0 ? Fcntl.Get<UserIds>(file, F_GETOWNER_UIDS) : default;
        return new Owner(signal, owner.type, owner.pid, ids.uid, ids.euid);
    }

    /// <summary>The image of an open file's owner.</summary>
    /// <exception cref="RefusedException">It is another process, which will not be there at a restore.</exception>
    public static FownEntry Save(OpenFile file, TreeFiles tree)
    {
        FownEntry saved = None();
        if (file.Owner is not { } owner)
        {
            throw new InvalidOperationException($"nobody asked for the owner of {file}");
        }

        saved.Signum = (uint)owner.Signal;
        if (owner.Pid != 0)
        {
            RefuseForeign(file, owner, tree);
            (saved.Uid, saved.Euid, saved.PidType, saved.Pid) = (owner.Uid, owner.Euid, (uint)owner.Type, (uint)owner.Pid);
        }

        return saved;
    }

    /// <summary>Adds the operations that set the owner of a descriptor.</summary>
    /// <param name="batch">The process, its threads born, its credentials still ours.</param>
    /// <param name="fd">Any of its descriptors of the file.</param>
    /// <param name="saved">The image.</param>
    public static void Restore(RemoteBatch batch, int fd, FownEntry saved)
    {
        if (saved.Signum != 0)
        {
            batch.Add($"fcntl(F_SETSIG) of fd {fd}", SyscallNumber.fcntl, fd, F_SETSIG, (long)saved.Signum);
        }

        if (saved.Pid == 0)
        {
            return;
        }

        uint uid = (uint)Syscall.Invoke(SyscallNumber.getuid), euid = (uint)Syscall.Invoke(SyscallNumber.geteuid);
        bool others = (uid, euid) != (saved.Uid, saved.Euid);
        SyscallProgram program = batch.Room(4, 8);
        if (others)
        {
            // So that the privileges stay while the ids are others'.
            program.Add("prctl(PR_SET_SECUREBITS)", SyscallNumber.prctl, Prctl.PR_SET_SECUREBITS, SecureNoSetuidFixup);
            program.Add($"setresuid({saved.Uid}, {saved.Euid})", SyscallNumber.setresuid, (long)saved.Uid, (long)saved.Euid, (long)euid);
        }

        ulong owner = program.Put(new f_owner_ex { type = (int)saved.PidType, pid = (int)saved.Pid });
        program.Add($"fcntl(F_SETOWN_EX) of fd {fd} to {saved.Pid}", SyscallNumber.fcntl, fd, F_SETOWN_EX, owner);
        if (others)
        {
            program.Add("setresuid", SyscallNumber.setresuid, (long)uid, (long)euid, (long)euid);
        }
    }

    /// <summary>Whether there is something to restore: an owner, a signal, or that somebody is told (O_ASYNC).</summary>
    public static bool HasOne(FileEntry entry) => In(entry) is { Signum: not 0 } or { Pid: not 0 } || (FlagsOf(entry) & Fcntl.O_ASYNC) != 0;

    /// <summary>Adds the operation that lets a descriptor tell its owner (O_ASYNC), if it did.</summary>
    public static void RestoreAsync(RemoteBatch batch, int fd, FileEntry entry)
    {
        const int Settable = Fcntl.O_APPEND | Fcntl.O_NONBLOCK | Fcntl.O_DIRECT | Fcntl.O_ASYNC;
        uint flags = FlagsOf(entry);
        if ((flags & Fcntl.O_ASYNC) != 0)
        {
            batch.Add($"fcntl(F_SETFL, O_ASYNC) of fd {fd}", SyscallNumber.fcntl, fd, Fcntl.F_SETFL, (long)(flags & Settable));
        }
    }

    private static uint FlagsOf(FileEntry entry) => entry.Pipe?.Flags ?? entry.Tty?.Flags ?? entry.Efd?.Flags ?? entry.Tfd?.Flags ?? entry.Sgfd?.Flags ?? entry.Ify?.Flags ?? entry.Ffy?.Flags ?? entry.Usk?.Flags
            ?? (entry.Tunf is null ? 0 : entry.Reg?.Flags ?? 0);

    /// <summary>The owner in an entry; null for kinds that have none.</summary>
    public static FownEntry? In(FileEntry entry) => entry.Reg?.Fown ?? entry.Pipe?.Fown ?? entry.Memfd?.Fown ?? entry.Efd?.Fown
        ?? entry.Epfd?.Fown ?? entry.Sgfd?.Fown ?? entry.Tfd?.Fown ?? entry.Ify?.Fown ?? entry.Ffy?.Fown ?? entry.Ext?.Fown ?? entry.Pidfd?.Fown ?? entry.Tty?.Fown
        ?? entry.Usk?.Fown;

    private static void RefuseForeign(OpenFile file, Owner owner, TreeFiles tree)
    {
        bool own = owner.Type == F_OWNER_TID ? Directory.Exists($"/proc/{file.Pid}/task/{owner.Pid}") : tree.Pids.Contains(owner.Pid);
        if (!own)
        {
            Refusal refusal = new(
                file.Pid, "", file.ToString(), $"it signals process or group {owner.Pid}, which is not dumped with it", "let the program set F_SETOWN to 0");
            throw new RefusedException([refusal]);
        }
    }
}
