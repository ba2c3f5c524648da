using System.Runtime.CompilerServices;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Proc;

/// <summary>
/// The /proc directory of one process or task. It is opened once and everything is read relative to it: the kernel binds the open
/// directory to the very process, so that one with the same number born later is never mistaken for it (fs/proc/base.c, get_proc_task).
/// </summary>
/// <remarks>Any thread may use it. All readers throw <c>ProcessGone</c> once the process has been reaped.</remarks>
public sealed class ProcDirectory : IDisposable
{
    /// <summary>The kernel never gives a longer link: do_proc_readlink formats into one page.</summary>
    private const int LongestLink = 4096;

    /// <summary>Of the paths below a directory: <c>map_files/</c> and two addresses is the longest.</summary>
    private const int LongestPath = 64;

    private readonly SafeFileHandle _directory;

    /// <summary>Opens a process.</summary>
    /// <param name="pid">Its number in the pid namespace that /proc was mounted from.</param>
    /// <exception cref="CriuException"><c>ProcessGone</c>: there is no such process.</exception>
    public ProcDirectory(int pid)
        : this(pid, pid, null, $"/proc/{pid}", $"/proc/{pid}")
    {
    }

    /// <summary>Opens one task of a process.</summary>
    /// <param name="pid">The process.</param>
    /// <param name="tid">The task's own number.</param>
    /// <exception cref="CriuException"><c>ProcessGone</c>: there is no such process or task.</exception>
    public ProcDirectory(int pid, int tid)
        : this(pid, tid, null, $"/proc/{pid}/task/{tid}", $"/proc/{pid}/task/{tid}")
    {
    }

    private ProcDirectory(int pid, int tid, SafeFileHandle? parent, string name, string path)
    {
        Pid = pid;
        Tid = tid;
        Path = path;
        _directory = OpenAt.TryOpen(parent, CString.From(name), OpenAt.O_PATH | OpenAt.O_DIRECTORY, out int errno)
            ?? throw (errno is Errno.ENOENT or Errno.ESRCH ? Gone() : Failure("openat", "", errno));
    }

    /// <summary>The process.</summary>
    public int Pid { get; }

    /// <summary>The task; equal to <see cref="Pid"/> for a whole process.</summary>
    public int Tid { get; }

    /// <summary>The directory's path, e.g. <c>/proc/812</c>.</summary>
    public string Path { get; }

    /// <summary>Whether the process exists still, if only as a zombie.</summary>
    public bool Exists
    {
        get
        {
            using SafeFileHandle? stat = OpenAt.TryOpen(_directory, "stat\0"u8, OpenAt.O_PATH, out _);
            return stat is not null;
        }
    }

    /// <summary>Opens one task of this very process.</summary>
    /// <param name="tid">The task's number.</param>
    /// <exception cref="CriuException"><c>ProcessGone</c>: the process has no such task now.</exception>
    public ProcDirectory OpenTask(int tid) => new(Pid, tid, _directory, $"task/{tid}", $"/proc/{Pid}/task/{tid}");

    /// <summary>Reads a file to its end and parses it.</summary>
    /// <typeparam name="T">The record.</typeparam>
    /// <param name="file">Path below the directory, e.g. <c>stat</c>.</param>
    /// <param name="parser">Turns the text into the record.</param>
    /// <param name="atOnce">Whether the file has one record, which one read gives.</param>
    /// <exception cref="CriuException">
    /// <c>ProcessGone</c>; <c>ProcFileMissing</c>: this kernel has no such file; <c>MalformedProc</c>: its content is not as documented.
    /// </exception>
    /// <exception cref="KernelException">It may not be read.</exception>
    public T Parse<T>(string file, ProcParser<T> parser, bool atOnce = false)
    {
        return ReadRecord(CString.From(file, stackalloc byte[LongestPath]), new ProcSource(Path, Pid) { File = file }, parser, atOnce);
    }

    /// <summary>Reads a file of one record whose path ends with a number and parses it.</summary>
    /// <typeparam name="T">The record.</typeparam>
    /// <param name="prefix">Path below the directory up to the number, e.g. <c>fdinfo/</c>.</param>
    /// <param name="number">The number.</param>
    /// <param name="parser">Turns the text into the record.</param>
    /// <inheritdoc cref="Parse{T}"/>
    internal T ParseNumbered<T>(string prefix, int number, ProcParser<T> parser) =>
        ReadRecord(CString.From(prefix, number, stackalloc byte[LongestPath]), new ProcSource(Path, Pid) { File = prefix, Number = number }, parser, atOnce: true);

    private T ReadRecord<T>(ReadOnlySpan<byte> path, ProcSource source, ProcParser<T> parser, bool atOnce)
    {
        using BorrowedDescriptor file = OpenAt.Borrow(_directory, path, OpenAt.O_RDONLY, out int errno);
        if (errno != 0)
        {
            throw Failure("openat", $"{source.File}{source.Number}", errno);
        }

        T record = ProcFile.Parse(file, source, parser, atOnce, out errno);
        return errno == 0 ? record : throw Failure("read", $"{source.File}{source.Number}", errno);
    }

    /// <summary>Reads a file's bytes as they are.</summary>
    /// <inheritdoc cref="Parse{T}"/>
    public byte[] ReadBytes(string file) => Parse(file, static (text, _) => text.ToArray());

    /// <summary>Opens a file below the directory.</summary>
    /// <param name="file">Path below the directory.</param>
    /// <param name="flags">Access mode and O_* flags; the descriptor is always close-on-exec.</param>
    /// <inheritdoc cref="Parse{T}"/>
    public SafeFileHandle Open(string file, int flags) =>
        OpenAt.TryOpen(_directory, CString.From(file), flags, out int errno) ?? throw Failure("openat", file, errno);

    /// <summary>Reads a link below the directory, e.g. <c>exe</c> or <c>fd/7</c>; nothing in it is escaped.</summary>
    /// <inheritdoc cref="Parse{T}"/>
    public OsText ReadLinkText(string link) =>
        TryReadLinkText(link, out int errno) ?? throw Failure("readlinkat", link, errno);

    /// <summary>As <see cref="ReadLinkText"/>; null and the kernel's error number where there is no link, or no leave to read it.</summary>
    /// <exception cref="CriuException"><c>ProcessGone</c>.</exception>
    public OsText? TryReadLinkText(string link, out int errno) => TryReadLinkText(CString.From(link, stackalloc byte[LongestPath]), out errno);

    /// <summary>As <see cref="TryReadLinkText(string, out int)"/>, of a link whose path ends with a number.</summary>
    /// <param name="prefix">Path below the directory up to the number, e.g. <c>fd/</c>.</param>
    /// <param name="number">The number.</param>
    /// <param name="errno">Zero, or why there is no text.</param>
    internal OsText? TryReadLinkText(string prefix, int number, out int errno) =>
        TryReadLinkText(CString.From(prefix, number, stackalloc byte[LongestPath]), out errno);

    [SkipLocalsInit]
    private OsText? TryReadLinkText(ReadOnlySpan<byte> path, out int errno)
    {
        Span<byte> text = stackalloc byte[LongestLink];
        long result = ReadLink.Read(_directory, path, text);
        errno = Syscall.IsError(result) ? (int)-result : 0;
        if (errno is Errno.ENOENT or Errno.ESRCH && !Exists)
        {
            throw Gone();
        }

        return errno == 0 ? new OsText(text[..(int)result]) : null;
    }

    /// <summary>stat(2) of what is below the directory, links followed; false with the errno where there is nothing.</summary>
    internal bool TryStat(string file, out FileStatus.stat status, out int errno) => FileStatus.TryOf(_directory, CString.From(file, stackalloc byte[LongestPath]), out status, out errno);

    /// <summary>The entries of a directory below this one, <c>.</c> and <c>..</c> left out, in the kernel's order.</summary>
    /// <inheritdoc cref="Parse{T}"/>
    public List<OsText> ListNames(string subdirectory) => List(subdirectory, static (name, _) => new OsText(name));

    /// <summary>The entries of a directory whose entries are numbers (<c>fd</c>, <c>task</c>), in the kernel's order.</summary>
    /// <inheritdoc cref="Parse{T}"/>
    public List<int> ListNumbers(string subdirectory) =>
        List(subdirectory, ParseNumber);

    private static int ParseNumber(ReadOnlySpan<byte> name, ProcSource source) => new ProcCursor(name, source).SmallDecimal("a number");

    /// <summary>The first entries of a directory whose entries are numbers: about as many as are wanted, as far as one call gives them.</summary>
    /// <inheritdoc cref="Parse{T}"/>
    internal List<int> ListFirstNumbers(string subdirectory, int wanted)
    {
        List<int> numbers = [];
        using SafeFileHandle handle = Open(subdirectory, OpenAt.O_RDONLY | OpenAt.O_DIRECTORY);
        Span<byte> buffer = new byte[GetDents.ShortEntry * wanted];
        long length = GetDents.Read(handle, buffer);
        if (Syscall.IsError(length))
        {
            throw Failure("getdents64", subdirectory, (int)-length);
        }

        ProcFile.AddNames(buffer[..(int)length], numbers, ParseNumber, new ProcSource(Path, Pid) { File = subdirectory });
        return numbers;
    }

    /// <inheritdoc/>
    public void Dispose() => _directory.Dispose();

    /// <summary>The error of one of this directory's files: the process is gone, or the kernel has no such file, or it refused.</summary>
    internal CriuException Failure(string call, string file, int errno)
    {
        string path = file.Length == 0 ? Path : $"{Path}/{file}";
        if (errno is Errno.ESRCH or Errno.ENOENT && (file.Length == 0 || !Exists))
        {
            return Gone();
        }

        // fs/proc_namespace.c, mounts_open_common: a zombie has left its mount namespace, and the kernel says EINVAL for it.
        if (errno == Errno.ENOENT || (errno == Errno.EINVAL && file == "mountinfo"))
        {
            return new CriuException("ProcFileMissing", CriuErrorKind.NotSupported, $"{path} cannot be read: there is no such file")
            {
                Pid = Pid,
                Subject = path,
                Errno = errno,
                Remedy = "a zombie and a kernel thread lack it; for any other process a kernel with CONFIG_CHECKPOINT_RESTORE has it",
            };
        }

        bool denied = errno is Errno.EACCES or Errno.EPERM;
        return new KernelException($"{call}({path})", errno)
        {
            Pid = Pid,
            Subject = path,
            Remedy = denied ? "run as the process's own user, or with CAP_SYS_PTRACE and CAP_CHECKPOINT_RESTORE" : null,
        };
    }

    private List<T> List<T>(string subdirectory, ProcParser<T> parser)
    {
        using SafeFileHandle handle = Open(subdirectory, OpenAt.O_RDONLY | OpenAt.O_DIRECTORY);
        var source = new ProcSource(Path, Pid) { File = subdirectory };
        return ProcFile.List(handle, source, parser, errno => Failure("getdents64", subdirectory, errno));
    }

    private CriuException Gone()
    {
        string who = Tid == Pid ? $"process {Pid}" : $"task {Tid} of process {Pid}";
        return new CriuException("ProcessGone", CriuErrorKind.NotFound, $"{who} does not exist")
        {
            Pid = Pid,
            Errno = Errno.ESRCH,
            Remedy = "it has ended, or the number belongs to another pid namespace",
        };
    }
}
