using CriuPS.Engine.Compel;
using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Options;
using Google.Protobuf;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// A file with a name: regular files, directories, and devices that keep nothing for who opens them. The kernel keeps path, flags and position
/// in struct file; /proc/PID/fd and fdinfo tell them. It is opened by its path with the same flags and sought to its position; kind, size
/// and, of an ELF file, the build id must be what they were.
/// </summary>
internal sealed class RegularFile : IFileKind, ISelfMade
{
    private const uint AllMayReadAndWrite = 0x1b6;

    private const int LongestName = 4096;

    private const int OnlyAtCreation = Fcntl.O_CREAT | Fcntl.O_EXCL | Fcntl.O_TRUNC | Fcntl.O_CLOEXEC;

    private const uint MemoryMajor = 1, MiscellaneousMajor = 10, KernelLogMinor = 11;
    private const int ToRead = Fcntl.O_RDONLY | Fcntl.O_NOCTTY | Fcntl.O_NONBLOCK;

    // Documentation/admin-guide/devices.txt: mem, null, port, zero, full, random, urandom, kmsg; hwrng, kvm, autofs, loop-control.
    private static readonly uint[] s_memoryMinors = [1, 3, 4, 5, 7, 8, 9, KernelLogMinor], s_miscellaneousMinors = [183, 232, 235, 237];

    public FdTypes Type => FdTypes.Reg;

    public bool Recognizes(OpenFile file) => file.Kind switch
    {
        FileStatus.S_IFREG or FileStatus.S_IFDIR => file.Link.StartsWith("/"u8) && !file.Link.StartsWith("/memfd:"u8),
        FileStatus.S_IFCHR => IsStateless(file.Status.st_rdev) || (file.FileFlags & Fcntl.O_PATH) != 0,
        FileStatus.S_IFLNK or FileStatus.S_IFIFO or FileStatus.S_IFSOCK or FileStatus.S_IFBLK => (file.FileFlags & Fcntl.O_PATH) != 0
            && file.Link.StartsWith("/"u8),
        _ => false,
    };

    public (string Reason, string Remedy)? Objection(OpenFile file, TreeFiles tree)
    {
        return ProcfsFile.IsIn(file.Link.Bytes) ? ProcfsFile.Objection(file)
            : IsReadLog(file) ? ("it reads the kernel's log, and its place in there is not told", "close it before the dump")
            : null;
    }

    public FileEntry Save(OpenFile file, HeldFile held, uint id, FileImages images)
    {
        if (images.Tree.IsExternal(file))
        {
            FileEntry external = Named(id, ByteString.CopyFromUtf8(file.ExternalName), file.FileFlags, file.Position, file.Status.st_mode);
            external.Reg.Ext = true;
            return external;
        }

        FileEntry entry = Save(file, id, images);
        entry.Reg.Fown = FileOwner.Save(file, images.Tree);
        return entry;
    }

    /// <summary>Saves a mapping's file, an executable or a directory, with what else is needed to find it again.</summary>
    public static FileEntry Save(OpenFile file, uint id, FileImages images)
    {
        images.Remaps.Save(file, id, images);
        images.Contents.Save(file, images.Remaps);
        return Entry(file, id, images);
    }

    /// <summary>The entry of an open file, of a mapping's file, or of a directory.</summary>
    public static FileEntry Entry(OpenFile file, uint id, FileImages? images = null)
    {
        FileEntry entry = Named(id, ByteString.CopyFrom(LostName.NameOf(file)), file.FileFlags, file.Position, file.Status.st_mode);
        if (file.Kind == FileStatus.S_IFREG && !ProcfsFile.IsIn(file.Link.Bytes) && !OnlyGrows(file.FileFlags))
        {
            entry.Reg.Size = (ulong)file.Status.st_size;
            entry.Reg.BuildId.AddRange(images is null ? FindBuildId(file) : images.BuildIdOf(file, FindBuildId));
        }

        return entry;
    }

    /// <summary>The entry of /dev/null in the place of a file that cannot be saved, open for the same directions.</summary>
    public static FileEntry Nothing(OpenFile file, uint id)
    {
        const int Kept = Fcntl.O_NONBLOCK | Fcntl.O_APPEND;
        int access = file.Kind == FileStatus.S_IFSOCK ? Fcntl.O_RDWR : file.FileFlags & Fcntl.O_ACCMODE;
        return Named(id, ByteString.CopyFrom("/dev/null"u8), (file.FileFlags & Kept) | access, 0, FileStatus.S_IFCHR | AllMayReadAndWrite);
    }

    private static FileEntry Named(uint id, ByteString name, int flags, long position, uint mode) => new()
    {
        Type = FdTypes.Reg, Id = id,
        Reg = new RegFileEntry { Id = id, Flags = (uint)flags, Pos = (ulong)position, Fown = FileOwner.None(), Name = name, Mode = mode },
    };

    public void Validate(FileEntry entry, FileOpening opening)
    {
        if (entry.Reg.Ext)
        {
            throw new CriuException("ExternalFileMissing", CriuErrorKind.NotFound, $"it was outside of the set as {Display(entry.Reg)}")
            {
                Subject = Display(entry.Reg), Remedy = $"use -InheritFd fd[N]:{Display(entry.Reg)} with the number of a descriptor of yours",
            };
        }

        if (ProcfsFile.IsIn(entry.Reg.Name.Span))
        {
            ProcfsFile.Validate(entry.Reg, opening);
            return;
        }

        if (opening.Remaps.Validate(entry.Reg) is not { } saved || !opening.IsNewClaim(saved))
        {
            return;
        }

        ChangedFile policy = opening.Choices.PolicyFor(saved.Name.Span);
        if (policy == ChangedFile.Saved && IsRegular(saved))
        {
            opening.Contents.WriteBack(saved.Name);
            return;
        }

        if (!FileStatus.TryOf(saved.Name.Span, out FileStatus.stat status, out int errno, ((int)saved.Flags & Fcntl.O_NOFOLLOW) == 0))
        {
            throw Mismatch(saved, $"cannot be found: {Errno.Describe(errno)}", "put the file back where it was, or use -PathMap (--path-map) if it has moved");
        }

        if (saved.HasMode && (status.st_mode & FileStatus.S_IFMT) != (saved.Mode & FileStatus.S_IFMT))
        {
            throw Mismatch(saved, "is of another kind than when it was dumped", $"put the file back that was {Display(saved)}");
        }

        if (policy != ChangedFile.Ignore)
        {
            Compare(saved, status, policy, opening.Choices);
        }
    }

    private static void Compare(RegFileEntry saved, FileStatus.stat status, ChangedFile policy, FileChoices choices)
    {
        const string OrPolicy = "put the file back as it was, or say with -FilePolicy (--file-policy) that it may differ";
        if (saved.HasSize && !OnlyGrows((int)saved.Flags) && (policy == ChangedFile.Growth ? (ulong)status.st_size < saved.Size : (ulong)status.st_size != saved.Size))
        {
            throw Mismatch(saved, $"has {status.st_size} bytes, but had {saved.Size} when it was dumped", OrPolicy);
        }

        if (saved.HasMode && choices.ComparesPermissions && IsRegular(saved) && ((status.st_mode ^ saved.Mode) & InodeAttributes.PermissionBits) != 0)
        {
            string now = Convert.ToString(status.st_mode & InodeAttributes.PermissionBits, 8), then = Convert.ToString(saved.Mode & InodeAttributes.PermissionBits, 8);
            throw Mismatch(saved, $"has permissions {now}, but had {then} when it was dumped", OrPolicy);
        }

        if (saved.BuildId.Count > 0 && choices.ComparesBuilds)
        {
            ValidateBuildId(saved, status.st_size);
        }
    }

    private static bool IsRegular(RegFileEntry saved) => saved.HasMode && (saved.Mode & FileStatus.S_IFMT) == FileStatus.S_IFREG;

    // What is for later keeps its number by another file.
    public SafeFileHandle Open(FileEntry entry, FileOpening opening) =>
        ProcfsFile.IsOfOneObject(entry.Reg.Name.Span) ? OpenAt.Open("/dev/null", Fcntl.O_RDONLY) : Open(entry.Reg, (int)entry.Reg.Flags, opening);

    // What has a name and is opened by that alone; to open other kinds may wait, or do something.
    public bool CanBeSelfMade(FileEntry entry, FileOpening opening)
    {
        RegFileEntry saved = entry.Reg;
        uint kind = saved.HasMode ? saved.Mode & FileStatus.S_IFMT : 0;
        return kind is FileStatus.S_IFREG or FileStatus.S_IFDIR or FileStatus.S_IFCHR && HasPlainName(saved, opening)
            && ((int)saved.Flags & Fcntl.O_TMPFILE) != Fcntl.O_TMPFILE;
    }

    /// <summary>Whether its name is all that leads to a file.</summary>
    public static bool HasPlainName(RegFileEntry saved, FileOpening opening) =>
        !saved.Ext && saved.Name.Span.StartsWith("/"u8) && saved.Name.Length < LongestName && !ProcfsFile.IsIn(saved.Name.Span)
        && !opening.Remaps.Has(saved) && opening.Remaps.EndedProcess(saved.Id) == 0;

    public void AddMaking(FileEntry entry, int number, bool closeOnExec, SyscallBatch batch)
    {
        RegFileEntry saved = entry.Reg;
        SyscallProgram program = batch.Room(2, saved.Name.Length + sizeof(ulong));
        ulong name = program.Put(CString.From(saved.Name.Span));
        int flags = ((int)saved.Flags & ~OnlyAtCreation) | Fcntl.O_NOCTTY | (closeOnExec ? Fcntl.O_CLOEXEC : 0);
        program.Add(new OpenOfName(saved), SyscallNumber.openat, OpenAt.AT_FDCWD, name, flags, 0);
        if (saved.Pos != 0 && (flags & Fcntl.O_PATH) == 0)
        {
            program.Add("lseek", SyscallNumber.lseek, number, (long)saved.Pos, Fcntl.SEEK_SET);
        }
    }

    private sealed record OpenOfName(RegFileEntry Saved)
    {
        public override string ToString() => $"open({Display(Saved)}, 0x{Saved.Flags:x})";
    }

    /// <summary>Opens the file of an entry with given flags.</summary>
    public static SafeFileHandle Open(RegFileEntry saved, int flags, FileOpening opening)
    {
        int errno = 0;
        if (opening.Remaps.EndedProcess(saved.Id) is not 0 and int ended)
        {
            opening.MakeMomentaryProcess(ended);
        }

        SafeFileHandle handle = opening.Remaps.TryOpen(saved, flags)
            ?? OpenAt.TryOpen(null, CString.From(saved.Name.Span), (flags & ~OnlyAtCreation) | Fcntl.O_NOCTTY, out errno)
            ?? throw new KernelException($"open({Display(saved)}, 0x{flags:x})", errno) { Subject = Display(saved) };
        if (saved.Pos != 0 && (flags & Fcntl.O_PATH) == 0)
        {
            Fcntl.Seek(handle, (long)saved.Pos);
        }

        return handle;
    }

    // A log: its size means nothing to who can only add to its end, and others may have added meanwhile.
    private static bool OnlyGrows(int flags) => (flags & (Fcntl.O_ACCMODE | Fcntl.O_APPEND)) == (Fcntl.O_WRONLY | Fcntl.O_APPEND);

    // What cannot be read has no build id to save, and its size is all that is compared later.
    private static uint[] FindBuildId(OpenFile file)
    {
        using SafeFileHandle? handle = OpenAt.TryOpen(null, CString.From(file.Link.Bytes), ToRead, out _);
        if (handle is null)
        {
            return [];
        }

        FileStatus.stat opened = FileStatus.Of(handle);
        bool same = opened.st_ino == file.Status.st_ino && opened.st_dev == file.Status.st_dev;
        return same ? BuildId.Read(handle, opened.st_size) : [];
    }

    private static void ValidateBuildId(RegFileEntry saved, long size)
    {
        using SafeFileHandle handle = OpenAt.TryOpen(null, CString.From(saved.Name.Span), ToRead, out int errno)
            ?? throw Mismatch(saved, $"cannot be read to compare its build id: {Errno.Describe(errno)}", "let this user read the file");
        if (!saved.BuildId.SequenceEqual(BuildId.Read(handle, size)))
        {
            throw Mismatch(saved, "is another build than when it was dumped: its build id differs", "put the file back as it was");
        }
    }

    private static string Display(RegFileEntry saved) => new Proc.OsText(saved.Name.Span).ToDisplayString();

    private static CriuException Mismatch(RegFileEntry saved, string reason, string remedy) =>
        new("FileChanged", CriuErrorKind.InvalidData, $"{Display(saved)} {reason}") { Subject = Display(saved), Remedy = remedy };

    private static bool IsReadLog(OpenFile file) =>
        file.Kind == FileStatus.S_IFCHR && (file.FileFlags & Fcntl.O_PATH) == 0 && (file.FileFlags & Fcntl.O_ACCMODE) != Fcntl.O_WRONLY
        && Device(file.Status.st_rdev) == (MemoryMajor, KernelLogMinor);

    private static bool IsStateless(ulong device)
    {
        (uint major, uint minor) = Device(device);
        return (major == MemoryMajor && s_memoryMinors.Contains(minor)) || (major == MiscellaneousMajor && s_miscellaneousMinors.Contains(minor));
    }

    // The kernel's huge device number: 12 bits of major, 20 of minor, interleaved (include/linux/kdev_t.h, new_encode_dev).
    private static (uint Major, uint Minor) Device(ulong device) => ((uint)(device >> 8) & 0xfff, (uint)((device & 0xff) | ((device >> 12) & 0xfff00)));
}
