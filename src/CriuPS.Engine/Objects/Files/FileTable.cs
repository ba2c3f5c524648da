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
    /// <summary>Reads the table of a process without touching it.</summary>
    public static List<OpenFile> Read(ProcDirectory proc)
    {
        // The listing is what the kernel remembers the names of, and of these two directories this is the one that is needed for every descriptor.
        List<int> numbers = proc.ListNumbers("fdinfo");
        if (numbers.Count == 0)
        {
            return [];
        }

        numbers.Sort();
        using DescriptorLook look = new(proc);
        return [.. Workers.Map(numbers, look.TryRead).OfType<OpenFile>()];
    }

    /// <summary>Saves the table and the open files of a stopped process.</summary>
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
            uint id = images.IdOf(file, out bool isNew);
            if (isNew && replaced)
            {
                images.Write(RegularFile.Nothing(file, id));
            }
            else if (isNew)
            {
                first.Add(file);
                using SafeFileHandle handle = PidFd.GetFd(pidfd, file.Fd);
                images.Write(kind!.Save(file, handle, id, images));
            }

            descriptors.Write(new FdinfoEntry
            {
                Id = id, Fd = (uint)file.Fd, Type = replaced ? FdTypes.Reg : kind!.Type, Flags = file.CloseOnExec ? (uint)Fcntl.FD_CLOEXEC : 0,
            });
        }

        images.WriteLocks([.. table.Where(file => !images.Tree.IsReplaced(file))], first.Contains);
    }
}
