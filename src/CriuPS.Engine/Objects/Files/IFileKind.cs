using Google.Protobuf;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Files;

/// <summary>A kind of open file. Supporting another is one more implementation and one line in <see cref="FileKinds"/>.</summary>
internal interface IFileKind
{
    /// <summary>The kind's number in images.</summary>
    FdTypes Type { get; }

    /// <summary>Whether a descriptor is of this kind.</summary>
    bool Recognizes(OpenFile file);

    /// <summary>Why it cannot be dumped and what would help; null where it can.</summary>
    /// <param name="file">The descriptor.</param>
    /// <param name="tree">All descriptors that are dumped together.</param>
    (string Reason, string Remedy)? Objection(OpenFile file, TreeFiles tree);

    /// <summary>Saves the open file; the process stands still.</summary>
    /// <param name="file">Any descriptor of it.</param>
    /// <param name="held">The very open file.</param>
    /// <param name="id">Its id in the images.</param>
    /// <param name="images">Takes what belongs to it besides the entry.</param>
    FileEntry Save(OpenFile file, HeldFile held, uint id, FileImages images);

    /// <summary>Fails if the file cannot be opened as it was; nothing is changed.</summary>
    void Validate(FileEntry entry, FileOpening opening);

    /// <summary>Opens the file as it was.</summary>
    SafeFileHandle Open(FileEntry entry, FileOpening opening);

    /// <summary>Makes a file that only a process itself can make; what <see cref="Open"/> gave keeps its number until then.</summary>
    /// <param name="entry">The file.</param>
    /// <param name="descriptor">A descriptor of it.</param>
    /// <param name="tasks">The system calls of the tasks of the process that has that, by tid.</param>
    /// <param name="opening">What files share.</param>
    /// <returns>Whether it was made, by this process.</returns>
    bool MakeInside(FileEntry entry, FdinfoEntry descriptor, IReadOnlyDictionary<int, Compel.RemoteBatch> tasks, FileOpening opening) => false;

    /// <summary>Adds what only a process can do that has the file, when all descriptors of all processes are in their places.</summary>
    /// <param name="entry">The file.</param>
    /// <param name="fd">Its number in the first process that has it.</param>
    /// <param name="batch">That process.</param>
    /// <param name="opening">What files share.</param>
    void Settle(FileEntry entry, int fd, Compel.RemoteBatch batch, FileOpening opening)
    {
    }
}

/// <summary>The registry of kinds; the first that recognizes a descriptor takes it.</summary>
internal static class FileKinds
{
    private static readonly IFileKind[] s_all =
    [
        new PipeFile(), new NamedPipe(), new MemoryFile(), new RegularFile(), new TunFile(), new EventFile(), new EventPollFile(), new SignalFile(), new TimerFile(),
        new InotifyFile(), new FanotifyFile(), new ProcessFile(), new TerminalFile(), new NamespaceFile(), new ExternalFile(), new Sockets.UnixSocketFile(), new ServiceSocket(), new BpfMapFile(),
    ];

    private static readonly Dictionary<FdTypes, IFileKind> s_byType = s_all.DistinctBy(kind => kind.Type).ToDictionary(kind => kind.Type);

    public static IFileKind? Find(OpenFile file)
    {
        foreach (IFileKind kind in s_all)
        {
            if (kind.Recognizes(file))
            {
                return kind;
            }
        }

        return null;
    }

    public static IFileKind? Find(FdTypes type) => s_byType.GetValueOrDefault(type);
}
