using CriuPS.Engine.Errors;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Kernel;

/// <summary>
/// What the kernel's own memory tells of the open files of a process (struct file, include/linux/fs.h), all of them in one go. Most descriptors have nothing more
/// in their file of /proc/PID/fdinfo, which takes many times as long to open and read; and where a file lies tells which descriptors are one open file.
/// </summary>
internal sealed class FileStructs : IDisposable
{
    private const int Words = 24;
    private const string Iterator = "bpf_iter__task_file";

    private readonly SafeFileHandle _program;
    private readonly BpfRow _row = BpfRow.OfFiles(Words);
    private readonly int _file, _position, _flags, _mount, _number, _locks, _operations, _shows, _closing, _counter, _mode, _id, _buffers, _head, _tail;
    private readonly int? _owner;

    private FileStructs()
    {
        KernelTypes types = KernelTypes.Running;
        _file = _row.ObjectItself();
        _position = _row.FromObject(types.OffsetOf("file", "f_pos"));
        _flags = _row.FromObject(types.OffsetOf("file", "f_flags"));
        int mount = _row.FromObject(types.OffsetOf("file", "f_path", "mnt"));
        _mount = _row.FromAddress(mount, types.OffsetOf("mount", "mnt_id") - types.OffsetOf("mount", "mnt"));
        int inode = _row.FromObject(types.OffsetOf("file", "f_inode"));
        _number = _row.FromAddress(inode, types.OffsetOf("inode", "i_ino"));
        _locks = _row.FromAddress(inode, types.OffsetOf("inode", "i_flctx"));
        _operations = _row.FromObject(types.OffsetOf("file", "f_op"));
        _shows = _row.FromAddress(_operations, types.OffsetOf("file_operations", "show_fdinfo"));
        int table = _row.FromAddress(_row.AddressFromIterator(types.OffsetOf(Iterator, "task")), types.OffsetOf("task_struct", "files"));
        int slots = _row.FromAddress(table, types.OffsetOf("files_struct", "fdt"));
        _closing = _row.FromBits(_row.FromAddress(slots, types.OffsetOf("fdtable", "close_on_exec")), BpfRow.Descriptor);
        int context = _row.FromObject(types.OffsetOf("file", "private_data"));
        _counter = _row.FromAddress(context, types.OffsetOf("eventfd_ctx", "count"));
        _mode = _row.FromAddress(context, types.OffsetOf("eventfd_ctx", "flags"));
        _id = _row.FromAddress(context, types.OffsetOf("eventfd_ctx", "id"));

        _buffers = _row.FromAddress(context, types.OffsetOf("pipe_inode_info", "max_usage"));
        _head = _row.FromAddress(context, types.OffsetOf("pipe_inode_info", "head"));
        _tail = _row.FromAddress(context, types.OffsetOf("pipe_inode_info", "tail"));

        // Since Linux 6.12 most files have no room for an owner until somebody sets one.
        _owner = types.IsPointer("file", "f_owner") ? _row.FromObject(types.OffsetOf("file", "f_owner")) : null;
        _program = _row.Load("bpf_iter_task_file");
    }

    /// <summary>What is known of a descriptor.</summary>
    /// <param name="Address">Where its open file lies; the same for all descriptors of it.</param>
    /// <param name="Position">The position of the open file.</param>
    /// <param name="Flags">How it was opened, and O_CLOEXEC if the descriptor is close-on-exec.</param>
    /// <param name="Mount">The number of the mount that it was opened on.</param>
    /// <param name="Inode">The inode's number.</param>
    /// <param name="MayHaveLocks">Whether there was ever a lock or a lease on the inode.</param>
    /// <param name="ShowsMore">Whether its kind adds something to fdinfo.</param>
    /// <param name="MayHaveOwner">Whether it may have an owner who is told when it becomes ready.</param>
    /// <param name="Operations">The same for all files of a kind.</param>
    /// <param name="Event">What it has if it is an eventfd, and something else if it is not.</param>
    /// <param name="Pipe">Bytes that it has room for and whether it is empty if it is a pipe, and something else if it is not.</param>
    public readonly record struct Facts(
        ulong Address, long Position, uint Flags, int Mount, ulong Inode, bool MayHaveLocks, bool ShowsMore, bool MayHaveOwner, ulong Operations,
        (ulong Count, uint Flags, int Id) Event, (long Size, bool IsEmpty) Pipe);

    /// <summary>Puts the question together; null where the kernel does not tell.</summary>
    public static FileStructs? TryPrepare()
    {
        try
        {
            return new FileStructs();
        }
        catch (CriuException e) when (BpfRow.IsUntold(e))
        {
            return null;
        }
    }

    /// <summary>The facts of all descriptors of a process that stands still, by their numbers; null where the kernel does not tell.</summary>
    public IReadOnlyDictionary<int, Facts>? TryAsk(int pid)
    {
        Dictionary<int, Facts> facts = [];
        try
        {
            // A thread with a table of its own comes after the process's.
            _row.Run(_program, pid, words => facts.TryAdd((int)words[BpfRow.Descriptor], FactsOf(words)));
            return facts;
        }
        catch (CriuException e) when (BpfRow.IsUntold(e))
        {
            return null;
        }
    }

    public void Dispose() => _program.Dispose();

    // fs/proc/fd.c, seq_show.
    private Facts FactsOf(ReadOnlySpan<ulong> words)
    {
        int fd = (int)words[BpfRow.Descriptor];
        uint closing = (words[_closing] & (1UL << (fd % 64))) != 0 ? (uint)Fcntl.O_CLOEXEC : 0;
        return new Facts(
            words[_file], (long)words[_position], ((uint)words[_flags] & ~(uint)Fcntl.O_CLOEXEC) | closing, (int)words[_mount], words[_number],
            words[_locks] != 0, words[_shows] != 0, _owner is not { } owner || words[owner] != 0, words[_operations],
            (words[_counter], (uint)words[_mode], (int)words[_id]), ((long)(uint)words[_buffers] * Memory.PageSize, (uint)words[_head] == (uint)words[_tail]));
    }
}
