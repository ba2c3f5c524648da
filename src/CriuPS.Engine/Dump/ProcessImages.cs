using CriuPS.Engine.Images;
using CriuPS.Engine.Objects;
using CriuPS.Engine.Objects.Files;
using CriuPS.Engine.Objects.Memory;

namespace CriuPS.Engine.Dump;

/// <summary>Writes the small images of one process: memory layout, cores, ids, descriptors, directories.</summary>
/// <param name="set">The image set.</param>
/// <param name="files">The images of open files.</param>
internal sealed class ProcessImages(ImageSet set, FileImages files)
{
    /// <summary>The id of the memory, descriptors, directories and signal actions that the process which dumps has for itself.</summary>
    private const uint DumperObject = 1;

    /// <summary>The id of those that a lone process has for itself: a restore takes equal ids for shared objects, so it must be another one.</summary>
    private const uint OwnObject = 2;

    /// <summary>The id of this machine's own control groups.</summary>
    private const uint HostCgroups = 1;

    public void Write(ProcessDump process, Inspection inspection, Microsoft.Win32.SafeHandles.SafeFileHandle pidfd)
    {
        WriteMappedFiles(process, inspection);
        WriteDirectories(process, inspection);
        process.Mm.ExeFileId = WriteFile(inspection.Executable!);
        using (ImageWriter descriptors = set.CreateWriter(ImageType.FdInfo, OwnObject))
        {
            FileTable.Save(process, inspection.Files, pidfd, files, descriptors);
        }

        WriteMemory(process);
        foreach (TaskDump task in process.Tasks)
        {
            set.WriteSingle(ImageType.Core, (ulong)task.VirtualTid, task.Core);
        }

        set.WriteSingle(ImageType.Ids, (ulong)process.Pid, Ids(OwnObject));
        WriteTree(process);
    }

    /// <summary>What the inventory says of the machine.</summary>
    public static InventoryEntry Inventory() => new()
    {
        ImgVersion = ImageMagic.Version, FdinfoPerId = true, NsPerId = true, RootIds = Ids(DumperObject), RootCgSet = HostCgroups, Lsmtype = Lsmtype.NoLsm,
        PluginsEntry = new PluginsEntry(),
    };

    // The namespaces are this machine's own for both; every kind has a number of its own.
    private static TaskKobjIdsEntry Ids(uint own) => new()
    {
        VmId = own, FilesId = own, FsId = own, SighandId = own, PidNsId = 1, NetNsId = 2, IpcNsId = 3, UtsNsId = 4, TimeNsId = 5, MntNsId = 6,
        UserNsId = 7, CgroupNsId = 8,
    };

    private void WriteMappedFiles(ProcessDump process, Inspection inspection)
    {
        Dictionary<(OpenFile File, bool Writes), uint> ids = [];
        foreach (Mapping mapping in process.Mappings)
        {
            var key = (mapping.Vma.DeviceMajor, mapping.Vma.DeviceMinor, mapping.Vma.Inode);
            if (!mapping.HasFile || !inspection.MappedFiles.TryGetValue(key, out OpenFile? file))
            {
                continue;
            }

            int flags = (int)mapping.ToEntry().Fdflags;
            bool writes = flags != 0;
            if (!ids.TryGetValue((file, writes), out uint id))
            {
                id = ids[(file, writes)] = WriteFile(file with { Flags = flags });
            }

            mapping.FileId = id;
        }
    }

    private void WriteDirectories(ProcessDump process, Inspection inspection) => set.WriteSingle(ImageType.Fs, (ulong)process.Pid, new FsEntry
    {
        CwdId = WriteFile(inspection.WorkingDirectory!),
        RootId = WriteFile(inspection.Root!),
        Umask = inspection.Status.Umask ?? 0,
    });

    private uint WriteFile(OpenFile file)
    {
        uint id = files.NextId();
        files.Write(SharedMemory.Is(file) ? MemoryFile.Entry(file, id, files) : RegularFile.Entry(file, id));
        return id;
    }

    private void WriteMemory(ProcessDump process)
    {
        VmaEntry? previous = null;
        foreach (Mapping mapping in process.Mappings)
        {
            VmaEntry entry = mapping.ToEntry();
            if (previous is not null && IsVvar(previous) && IsVvar(entry) && previous.End == entry.Start)
            {
                // Kernels before 6.13 have one mapping for both parts, and images know only that.
                previous.End = entry.End;
                continue;
            }

            process.Mm.Vmas.Add(entry);
            previous = entry;
        }

        process.Mm.Vmas.AddRange(GuardRegions.Find(process.Proc, process.Mappings));
        set.WriteSingle(ImageType.Mm, (ulong)process.Pid, process.Mm);
    }

    private static bool IsVvar(VmaEntry entry) => ((VmaStatus)entry.Status & VmaStatus.Vvar) != 0;

    private void WriteTree(ProcessDump process)
    {
        PstreeEntry entry = new()
        {
            Pid = (uint)process.Pid, Ppid = 0, Pgid = (uint)process.Stat.ProcessGroup, Sid = (uint)process.Stat.Session,
        };
        entry.Threads.AddRange(process.Tasks.Select(t => (uint)t.VirtualTid));
        set.WriteSingle(ImageType.PsTree, null, entry);
    }
}
