using CriuPS.Engine.Errors;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Proc;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Objects.Files;

/// <summary>
/// The descriptor table of a process (struct files_struct). /proc/PID/fd lists it; pidfd_getfd(2) gives us the very open files, kcmp(2) tells
/// which numbers are one.
/// </summary>
internal static class FileTable
{
    /// <summary>Tables with fewer numbers than this are sooner read one by one than asked for.</summary>
    public const int ManySlots = 256;

    /// <summary>Whether execve(2) closes a saved descriptor.</summary>
    public static bool IsClosedOnExec(FdinfoEntry descriptor) => (descriptor.Flags & Fcntl.FD_CLOEXEC) != 0;

    /// <summary>Reads the table of a process without touching it.</summary>
    /// <param name="proc">The process.</param>
    /// <param name="slots">How many numbers its table has room for (FDSize of /proc/PID/status).</param>
    /// <param name="structs">The question to the kernel's memory, where the process stands still; null for none.</param>
    public static List<OpenFile> Read(ProcDirectory proc, int slots, FileStructs? structs = null)
    {
        IReadOnlyDictionary<int, FileStructs.Facts>? facts = slots < ManySlots ? null : structs?.TryAsk(proc.Pid);
        IReadOnlyList<int> numbers = facts is null ? Numbers(proc, slots) : [.. facts.Keys.Order()];
        if (numbers.Count == 0)
        {
            return [];
        }

        using DescriptorLook look = new(proc, facts);
        return [.. Workers.Map(numbers, look.TryRead).OfType<OpenFile>()];
    }

    // To try the numbers of a table that is well filled takes less time than to list it. The directory's size is how many are open (since Linux 6.2). Of the two
    // directories the one is listed whose files are read: the kernel remembers what it has listed.
    private static IReadOnlyList<int> Numbers(ProcDirectory proc, int slots)
    {
        if (proc.TryStat("fd", out FileStatus.stat directory, out _) && directory.st_size * 2 >= slots)
        {
            return [.. Enumerable.Range(0, slots)];
        }

        List<int> numbers = proc.ListNumbers("fdinfo");
        numbers.Sort();
        return numbers;
    }

    /// <summary>Saves the table and the open files of a stopped process.</summary>
    /// <param name="table">The table.</param>
    /// <param name="pidfd">The process.</param>
    /// <param name="images">Takes the files.</param>
    /// <param name="descriptors">Takes the table.</param>
    public static void Save(IReadOnlyList<OpenFile> table, SafeFileHandle pidfd, FileImages images, Images.ImageWriter descriptors)
    {
        HashSet<OpenFile> first = new(ReferenceEqualityComparer.Instance);
        foreach (OpenFile file in table)
        {
            bool replaced = images.Tree.IsReplaced(file);
            if (replaced && images.ClosesReplaced)
            {
                continue;
            }

            IFileKind? kind = FileKinds.Find(file);
            uint id = images.Save(file, kind, pidfd, out bool isNew);
            if (isNew && file.HasLock)
            {
                first.Add(file);
            }

            descriptors.WriteLater(new FdinfoEntry
            {
                Id = id, Fd = (uint)file.Fd, Type = replaced ? FdTypes.Reg : kind!.Type, Flags = file.CloseOnExec ? (uint)Fcntl.FD_CLOEXEC : 0,
            });
        }

        images.WriteLocks([.. table.Where(file => !images.Tree.IsReplaced(file))], first.Contains);
    }
}
