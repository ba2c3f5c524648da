using CriuPS.Engine.Errors;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects.Ids;
using CriuPS.Engine.Proc;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// A file that stands for a namespace (namespaces(7), ioctl_ns(2)). Its link in /proc names kind and inode. As long as a tree lives in the namespaces of
/// whoever dumps and restores it, such a file is opened again as that of the restorer; others would have to be made first.
/// </summary>
internal sealed class NamespaceFile : IFileKind
{
    private static readonly (string Name, uint Flag, Func<TaskKobjIdsEntry, uint> Id)[] s_kinds =
    [
        ("net", 0x40000000, i => i.NetNsId), ("pid", 0x20000000, i => i.PidNsId), ("user", 0x10000000, i => i.UserNsId), ("ipc", 0x08000000, i => i.IpcNsId),
        ("uts", 0x04000000, i => i.UtsNsId), ("cgroup", 0x02000000, i => i.CgroupNsId), ("mnt", 0x00020000, i => i.MntNsId), ("time", 0x80, i => i.TimeNsId),
    ];

    public FdTypes Type => FdTypes.Ns;

    public bool Recognizes(OpenFile file) => KindOf(file.Link) is not null;

    public (string Reason, string Remedy)? Objection(OpenFile file, TreeFiles tree)
    {
        string name = KindOf(file.Link)!.Value.Name;
        using ProcDirectory self = new(Environment.ProcessId);
        return self.TryReadLinkText($"ns/{name}", out _) == file.Link
            ? null
            : ("it is a namespace that the tree does not live in", "close it before the dump");
    }

    public FileEntry Save(OpenFile file, HeldFile held, uint id, FileImages images)
    {
        (_, uint flag, Func<TaskKobjIdsEntry, uint> number) = KindOf(file.Link)!.Value;
        return new FileEntry
        {
            Type = Type, Id = id,
            Nsf = new NsFileEntry { Id = id, NsId = number(SharedObjects.OfDumper()), NsCflag = flag, Flags = (uint)file.FileFlags },
        };
    }

    public void Validate(FileEntry entry, FileOpening opening)
    {
        if (!s_kinds.Any(k => k.Flag == entry.Nsf.NsCflag))
        {
            throw new CriuException("FileKindNotSupported", CriuErrorKind.NotSupported, $"it is a namespace of an unknown kind (0x{entry.Nsf.NsCflag:x})");
        }
    }

    public SafeFileHandle Open(FileEntry entry, FileOpening opening) =>
        OpenAt.Open($"/proc/self/ns/{s_kinds.First(k => k.Flag == entry.Nsf.NsCflag).Name}", (int)entry.Nsf.Flags);

    // "net:[4026531840]"
    private static (string Name, uint Flag, Func<TaskKobjIdsEntry, uint> Id)? KindOf(OsText link)
    {
        string text = link.ToDisplayString();
        int colon = text.IndexOf(":[", StringComparison.Ordinal);
        int found = colon < 0 ? -1 : Array.FindIndex(s_kinds, k => k.Name == text[..colon]);
        return found < 0 ? null : s_kinds[found];
    }
}
