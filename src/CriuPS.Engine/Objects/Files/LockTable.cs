using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// Which files may be locked (/proc/locks, proc_locks(5)), so that those of most descriptors need not be asked one by one. It names all locks only to who lives in
/// the first pid namespace: elsewhere those of processes that are not seen from there are left out (fs/locks.c, locks_show), and any file may be locked.
/// </summary>
internal sealed class LockTable
{
    /// <summary>PROC_PID_INIT_INO, include/linux/proc_ns.h.</summary>
    private const ulong FirstPidNamespace = 0xeffffffc;

    private readonly HashSet<ulong>? _inodes;

    private LockTable(HashSet<ulong>? inodes) => _inodes = inodes;

    /// <summary>Reads the locks as they are now.</summary>
    public static LockTable Read()
    {
        using ProcDirectory self = new(Environment.ProcessId);
        bool all = NamespaceLink.Read(self, "pid").Inode == FirstPidNamespace;
        try
        {
            return new LockTable(all ? [.. ProcRoot.ReadLocks().Select(held => held.Inode)] : null);
        }
        catch (KernelException e) when (e.Errno is Errno.ENOENT or Errno.EACCES)
        {
            return new LockTable(null);
        }
    }

    /// <summary>Whether a file may be locked; its kernel inode must have the number that stat(2) tells.</summary>
    public bool MayHave(in FileStatus.stat status) => _inodes?.Contains(status.st_ino) ?? true;
}
