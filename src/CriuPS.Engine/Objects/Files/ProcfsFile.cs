using System.Buffers.Text;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// A file or directory of /proc (proc(5)). The kernel names it by the number of the task that it is about, also where it was opened as /proc/self,
/// /proc/thread-self or /proc/net; as long as the task lives that path leads to it. So it is saved as a <see cref="RegularFile"/>, and opened by its path
/// when all tasks of the tree have their numbers and their memory.
/// </summary>
internal static class ProcfsFile
{
    private static readonly byte[][] s_ofOneObject = ["fd"u8.ToArray(), "fdinfo"u8.ToArray(), "map_files"u8.ToArray()];

    /// <summary>Whether a path leads into /proc.</summary>
    public static bool IsIn(ReadOnlySpan<byte> path) => path.StartsWith("/proc/"u8);

    /// <summary>
    /// The path that leads to it. The kernel looks names in /proc/PID/net up anew each time, so that one which is open may seem to have been deleted
    /// (fs/proc/proc_net.c).
    /// </summary>
    public static ReadOnlySpan<byte> PathOf(OpenFile file) => DeletedMark.CutFrom(file.Link.Bytes);

    /// <summary>Why it cannot be dumped and what would help; null where it can.</summary>
    public static (string Reason, string Remedy)? Objection(OpenFile file)
    {
        const string Remedy = "close it before the dump";
        if (file.Link.StartsWith("/proc/pressure/"u8) && (file.FileFlags & Fcntl.O_ACCMODE) != Fcntl.O_RDONLY)
        {
            return ("it can hold a trigger, which the kernel does not tell", Remedy);
        }

        return LeadsToIt(file) || EndedProcess(file) != 0 ? null : ("it is a file of /proc about something that is gone", Remedy);
    }

    /// <summary>
    /// The process that it is about, where that has ended and nobody else has its number: it can be opened again while another process has the number for a
    /// moment. 0 for all others.
    /// </summary>
    public static int EndedProcess(OpenFile file) =>
        IsIn(file.Link.Bytes) && TaskOf(PathOf(file)).Pid is not 0 and int pid && !LeadsToIt(file) && !Kernel.Signals.Exists(pid) ? pid : 0;

    /// <summary>Fails if it cannot be opened when all tasks of the tree are there.</summary>
    public static void Validate(RegFileEntry saved, FileOpening opening)
    {
        (int pid, int tid) = TaskOf(saved.Name.Span);
        if (opening.Remaps.EndedProcess(saved.Id) is not 0 and int ended)
        {
            if (pid != ended || opening.Numbers.Contains(ended))
            {
                string shown = new OsText(saved.Name.Span).ToDisplayString();
                throw new CriuException("DamagedImage", CriuErrorKind.InvalidData, $"{shown} is about process {ended}, which had ended, and the set has it");
            }

            return;
        }

        if (opening.Numbers.Contains(pid) && (tid == 0 || opening.Numbers.Contains(tid)))
        {
            return;
        }

        if (!FileStatus.TryOf(saved.Name.Span, out _, out int errno, followLinks: ((int)saved.Flags & Fcntl.O_NOFOLLOW) == 0))
        {
            string name = new OsText(saved.Name.Span).ToDisplayString();
            throw new CriuException("FileChanged", CriuErrorKind.NotFound, $"{name} cannot be found: {Errno.Describe(errno)}")
            {
                Subject = name, Errno = errno, Remedy = pid == 0 ? null : $"process {pid} is not part of the set: it must be there before the restore",
            };
        }
    }

    private static bool LeadsToIt(OpenFile file) =>
        FileStatus.TryOf(PathOf(file), out FileStatus.stat named, out _, followLinks: file.Kind != FileStatus.S_IFLNK)
        && named.st_ino == file.Status.st_ino && named.st_dev == file.Status.st_dev;

    // /proc/PID/... and /proc/PID/task/TID/...; zeros for what belongs to no task.
    private static (int Pid, int Tid) TaskOf(ReadOnlySpan<byte> path)
    {
        ReadOnlySpan<byte> rest = path["/proc/".Length..];
        if (!Utf8Parser.TryParse(rest, out int pid, out int length) || !IsEnd(rest[length..]))
        {
            return (0, 0);
        }

        rest = rest[length..];
        return rest.StartsWith("/task/"u8) && Utf8Parser.TryParse(rest[6..], out int tid, out length) && IsEnd(rest[(6 + length)..]) ? (pid, tid) : (pid, 0);
    }

    private static bool IsEnd(ReadOnlySpan<byte> rest) => rest.IsEmpty || rest[0] == (byte)'/';

    /// <summary>Whether it is /proc/PID/fd/N or its like: the object has to be there before the file can be opened.</summary>
    public static bool IsOfOneObject(ReadOnlySpan<byte> path)
    {
        if (!IsIn(path))
        {
            return false;
        }

        int last = path.LastIndexOf((byte)'/');
        ReadOnlySpan<byte> parent = path[..last];
        ReadOnlySpan<byte> name = parent[(parent.LastIndexOf((byte)'/') + 1)..];
        foreach (byte[] folder in s_ofOneObject)
        {
            if (name.SequenceEqual(folder) && TaskOf(path).Pid != 0)
            {
                return true;
            }
        }

        return false;
    }
}
