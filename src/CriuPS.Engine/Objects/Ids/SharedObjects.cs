using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Objects.Ids;

/// <summary>
/// Which processes of a tree share memory, descriptors, directories or signal actions (clone(2), CLONE_VM, CLONE_FILES, CLONE_FS, CLONE_SIGHAND). The kernel keeps
/// pointers, kcmp(2) compares them (since Linux 3.5); images give equal numbers to what is one object. A restore lets a child be born with
/// its parent's table where the numbers are equal.
/// </summary>
internal static class SharedObjects
{
    /// <summary>The number that the process which dumps has for its own objects: nobody else has it.</summary>
    public const uint DumperObject = 1;

    /// <summary>The number of the time namespace of a tree that does not have the machine's.</summary>
    public const uint TimeNamespaceOfTree = 9;

    private static readonly int[] s_kinds = [Kcmp.KCMP_VM, Kcmp.KCMP_FILES, Kcmp.KCMP_FS, Kcmp.KCMP_SIGHAND];

    /// <summary>The numbers of processes that stand still.</summary>
    /// <param name="pids">The processes.</param>
    /// <param name="ownTime">Whether they live in another time namespace than this process.</param>
    public static List<TaskKobjIdsEntry> Of(IReadOnlyList<int> pids, bool ownTime)
    {
        uint[][] ids = Workers.Map(s_kinds, kind => IdsOf(pids, kind), worthAThread: pids.Count > 1 ? 1 : s_kinds.Length);
        return [.. pids.Select((_, i) =>
        {
            TaskKobjIdsEntry entry = HostNamespaces();
            entry.TimeNsId = ownTime ? TimeNamespaceOfTree : entry.TimeNsId;
            (entry.VmId, entry.FilesId, entry.FsId, entry.SighandId) = (ids[0][i], ids[1][i], ids[2][i], ids[3][i]);
            return entry;
        })];
    }

    private static uint[] IdsOf(IReadOnlyList<int> pids, int kind)
    {
        OrderedObjects<int> objects = new((a, b) => a == b ? 0 : Kcmp.Compare(a, b, kind));
        uint last = DumperObject;
        return [.. pids.Select(pid => objects.IdOf(pid, () => ++last, out _))];
    }

    /// <summary>The numbers of the process that dumps.</summary>
    public static TaskKobjIdsEntry OfDumper()
    {
        TaskKobjIdsEntry ids = HostNamespaces();
        ids.VmId = ids.FilesId = ids.FsId = ids.SighandId = DumperObject;
        return ids;
    }

    // The namespaces are this machine's own for all; every kind has a number of its own.
    private static TaskKobjIdsEntry HostNamespaces() => new()
    {
        PidNsId = 1, NetNsId = 2, IpcNsId = 3, UtsNsId = 4, TimeNsId = 5, MntNsId = 6, UserNsId = 7, CgroupNsId = 8,
    };
}
