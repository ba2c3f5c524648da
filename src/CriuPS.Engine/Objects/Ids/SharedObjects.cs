using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;

namespace CriuPS.Engine.Objects.Ids;

/// <summary>
/// Which processes of a tree share memory, descriptors, directories or signal actions (clone(2), CLONE_VM, CLONE_FILES, CLONE_FS, CLONE_SIGHAND). The kernel keeps
/// pointers, kcmp(2) compares them (since Linux 3.5); images give equal numbers to what is one object. A restore lets a child be born with
/// its parent's table where the numbers are equal.
/// </summary>
internal sealed class SharedObjects
{
    /// <summary>The number that the process which dumps has for its own objects: nobody else has it.</summary>
    public const uint DumperObject = 1;

    private readonly Kind _memory = new(Kcmp.KCMP_VM), _files = new(Kcmp.KCMP_FILES), _directories = new(Kcmp.KCMP_FS);
    private readonly Kind _actions = new(Kcmp.KCMP_SIGHAND);

    /// <summary>The numbers of a process that stands still.</summary>
    public TaskKobjIdsEntry Of(int pid)
    {
        TaskKobjIdsEntry ids = HostNamespaces();
        (ids.VmId, ids.FilesId, ids.FsId, ids.SighandId) = (_memory.IdOf(pid), _files.IdOf(pid), _directories.IdOf(pid), _actions.IdOf(pid));
        return ids;
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

    private sealed class Kind(int type)
    {
        private readonly OrderedObjects<int> _objects = new((a, b) => a == b ? 0 : Kcmp.Compare(a, b, type));
        private uint _last = DumperObject;

        public uint IdOf(int pid) => _objects.IdOf(pid, () => ++_last, out _);
    }
}
