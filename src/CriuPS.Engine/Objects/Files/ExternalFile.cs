using CriuPS.Engine.Compel;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Objects.Uring;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// Files of kinds that CRIU's format has no place for. In files.img they are external files, which CRIU leaves to plugins and fails without one; what they are
/// is in an image of ours.
/// </summary>
internal sealed class ExternalFile : IFileKind
{
    private static readonly RingFile s_rings = new();
    private static readonly UserFaultFile s_userFaults = new();

    private static readonly IFileKind[] s_kinds = [s_rings, s_userFaults];

    public FdTypes Type => FdTypes.Ext;

    public bool Recognizes(OpenFile file) => s_kinds.Any(kind => kind.Recognizes(file));

    public (string Reason, string Remedy)? Objection(OpenFile file, TreeFiles tree) => KindOf(file).Objection(file, tree);

    public FileEntry Save(OpenFile file, HeldFile held, uint id, FileImages images) => KindOf(file).Save(file, held, id, images);

    public void Validate(FileEntry entry, FileOpening opening) => KindOf(entry, opening).Validate(entry, opening);

    public SafeFileHandle Open(FileEntry entry, FileOpening opening) => KindOf(entry, opening).Open(entry, opening);

    public bool MakeInside(FileEntry entry, FdinfoEntry descriptor, IReadOnlyDictionary<int, RemoteBatch> tasks, FileOpening opening) =>
        KindOf(entry, opening).MakeInside(entry, descriptor, tasks, opening);

    private static IFileKind KindOf(OpenFile file) => s_kinds.First(kind => kind.Recognizes(file));

    private static IFileKind KindOf(FileEntry entry, FileOpening opening) => opening.Own(entry.Id) switch
    {
        { Uring: not null } => s_rings,
        { Userfault: not null } => s_userFaults,
        _ => throw new CriuException("FileKindNotSupported", CriuErrorKind.NotSupported, "it is a file that a plugin of CRIU saved"),
    };
}
