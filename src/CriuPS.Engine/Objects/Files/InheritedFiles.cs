using System.Globalization;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Options;
using CriuPS.Engine.Proc;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// Descriptors of whoever restores that take the places of saved files: the files behind them are used as they are, with their own position and flags, and
/// are shared with their owner. Ends of pipes alone are opened again through /proc/self/fd, because a program that does not wait (O_NONBLOCK) and the owner
/// of the descriptor, who perhaps does, cannot share them. A saved file is named by its path, or as /proc showed it.
/// </summary>
/// <param name="given">The descriptors.</param>
internal sealed class InheritedFiles(IReadOnlyCollection<InheritedDescriptor> given)
{
    private const int StandardStreams = 3;

    private readonly HashSet<InheritedDescriptor> _used = [];

    /// <summary>Those that no saved file was named by.</summary>
    public IEnumerable<InheritedDescriptor> Unused => given.Except(_used);

    /// <summary>Fails if one of the descriptors is not there.</summary>
    public void Validate()
    {
        foreach (InheritedDescriptor descriptor in given)
        {
            if (Syscall.IsError(Syscall.Invoke(SyscallNumber.fcntl, descriptor.Descriptor, Fcntl.F_GETFD)))
            {
                throw Wrong(descriptor, "is not open in this program", "open it before the program is started");
            }
        }
    }

    /// <summary>Whether a saved file is replaced.</summary>
    public bool Replaces(FileEntry entry) => Find(entry) is not null;

    /// <summary>The file that takes the place of a saved one; null for none.</summary>
    public SafeFileHandle? TryOpen(FileEntry entry) => Find(entry) switch
    {
        null => null,
        { } descriptor => IsReopened(entry, descriptor) ? Reopen(descriptor, (int)entry.Pipe.Flags) : Duplicate(descriptor),
    };

    /// <summary>Whether a saved file is replaced by one that stays somebody else's too.</summary>
    public bool Shares(FileEntry entry) => Find(entry) is { } descriptor && !IsReopened(entry, descriptor);

    private static bool IsReopened(FileEntry entry, InheritedDescriptor descriptor) => entry.Pipe is not null && IsPipe(descriptor);

    private static SafeFileHandle Duplicate(InheritedDescriptor descriptor) => new((int)Syscall.Check(
        Syscall.Invoke(SyscallNumber.fcntl, descriptor.Descriptor, Fcntl.F_DUPFD_CLOEXEC, StandardStreams), $"dup of fd {descriptor.Descriptor}"), ownsHandle: true);

    // The open of a pipe without a name waits for nobody (fifo_open of fs/pipe.c).
    private static SafeFileHandle Reopen(InheritedDescriptor descriptor, int flags) =>
        OpenAt.TryOpen(null, CString.From(LinkOf(descriptor)), flags & ~Fcntl.O_CLOEXEC, out int errno)
            ?? throw new KernelException($"open of the pipe of fd {descriptor.Descriptor}", errno);

    private static bool IsPipe(InheritedDescriptor descriptor) =>
        new FileInfo(LinkOf(descriptor)).LinkTarget is { } link && link.StartsWith("pipe:[", StringComparison.Ordinal);

    private static string LinkOf(InheritedDescriptor descriptor) => string.Create(CultureInfo.InvariantCulture, $"/proc/self/fd/{descriptor.Descriptor}");

    // Both ends of a pipe have one name: the descriptor that can be used in the same direction is meant.
    private InheritedDescriptor? Find(FileEntry entry) => given.Count == 0 ? null : FindGiven(entry);

    private InheritedDescriptor? FindGiven(FileEntry entry)
    {
        string[] names = [.. NamesOf(entry)];
        InheritedDescriptor[] found = [.. given.Where(g => names.Contains(g.Resource))];
        if (found.Length == 0)
        {
            return null;
        }

        lock (_used)
        {
            _used.UnionWith(found);
        }

        int? mode = ModeOf(entry);
        foreach (InheritedDescriptor descriptor in found)
        {
            if (mode is null || (AccessOf(descriptor) is int own && (own == mode || own == Fcntl.O_RDWR)))
            {
                return descriptor;
            }
        }

        throw Wrong(found[0], $"cannot take the place of {found[0].Resource}, which was open in another direction", "give a descriptor that is open for the same");
    }

    private static IEnumerable<string> NamesOf(FileEntry entry)
    {
        if (entry.Reg is { } file)
        {
            string name = new OsText(file.Name.Span).ToDisplayString();
            yield return name;
            if (name.Length > 1 && name[0] == '/')
            {
                yield return name[1..];
            }
        }
        else if (entry.Pipe is { } pipe)
        {
            yield return $"pipe:[{pipe.PipeId}]";
        }
        else if (entry.Usk is { } socket)
        {
            yield return $"socket:[{socket.Ino}]";
            yield return $"socket[{socket.Ino}]";
        }
    }

    private static int? ModeOf(FileEntry entry) =>
        (entry.Pipe?.Flags ?? entry.Reg?.Flags) is { } flags && ((int)flags & Fcntl.O_PATH) == 0 ? (int)flags & Fcntl.O_ACCMODE : null;

    private static int AccessOf(InheritedDescriptor descriptor) => (int)Syscall.Check(
        Syscall.Invoke(SyscallNumber.fcntl, descriptor.Descriptor, Fcntl.F_GETFL), $"fcntl(F_GETFL) of fd {descriptor.Descriptor}") & Fcntl.O_ACCMODE;

    private static CriuException Wrong(InheritedDescriptor descriptor, string reason, string remedy) => new(
        "BadInheritedDescriptor", CriuErrorKind.BadOption, string.Create(CultureInfo.InvariantCulture, $"option -InheritFd: fd {descriptor.Descriptor} {reason}"))
    {
        Subject = descriptor.Resource, Remedy = remedy,
    };
}
