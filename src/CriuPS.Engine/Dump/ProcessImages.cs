using CriuPS.Engine.Images;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using CriuPS.Engine.Objects;
using CriuPS.Engine.Objects.Credentials;
using CriuPS.Engine.Objects.Files;
using CriuPS.Engine.Objects.Ids;
using CriuPS.Engine.Objects.Memory;
using CriuPS.Engine.Proc;
using Google.Protobuf;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Dump;

/// <summary>Writes the small images of processes: memory layout, cores, ids, descriptors, directories, and the tree.</summary>
/// <param name="set">The image set.</param>
/// <param name="files">The images of open files.</param>
internal sealed class ProcessImages(ImageSet set, FileImages files)
{
    /// <summary>How images say that a process has ended.</summary>
    private const uint DeadState = 2;

    /// <summary>The id of this machine's own control groups.</summary>
    private const uint HostCgroups = 1;

    private readonly ImageWriter _tree = set.CreateWriter(ImageType.PsTree);
    private readonly HashSet<uint> _tables = [];
    private readonly SeccompImage _filters = new();
    private readonly List<(ImageType Type, ulong Id, IRequiredFields Entry)> _singles = [];

    /// <summary>Writes a living process; parents come before their children.</summary>
    /// <param name="process">What was read of it.</param>
    /// <param name="inspection">What /proc told of it.</param>
    /// <param name="pidfd">The process.</param>
    /// <param name="parent">Its parent in the tree; 0 for the root.</param>
    /// <param name="ids">What it shares with others.</param>
    public void Write(ProcessDump process, Inspection inspection, SafeFileHandle pidfd, int parent, TaskKobjIdsEntry ids)
    {
        WriteMappedFiles(process, inspection);
        WriteDirectories(process, inspection);
        process.Mm.ExeFileId = files.SaveNamed(inspection.Executable!);
        if (_tables.Add(ids.FilesId))
        {
            using ImageWriter descriptors = set.CreateWriter(ImageType.FdInfo, ids.FilesId);
            FileTable.Save(inspection.Files, pidfd, files, descriptors);
        }

        WriteMemory(process);
        foreach (TaskDump task in process.Tasks)
        {
            if (task.Filters.Count > 0)
            {
                task.Core.ThreadCore.SeccompFilter = _filters.IndexOf(task.Filters);
            }

            WriteSingle(ImageType.Core, task.VirtualTid, task.Core);
        }

        WriteExtra(process, isRoot: parent == 0);
        WriteSingle(ImageType.Ids, process.Pid, ids);
        WriteTree(process.Stat, parent, process.Tasks.Select(t => (uint)t.VirtualTid));
    }

    /// <summary>Writes a process that has ended and waits for its parent: all that is left of it are its name and how it ended.</summary>
    public void WriteZombie(ProcStat stat)
    {
        WriteSingle(ImageType.Core, stat.Pid, new CoreEntry
        {
            Mtype = CoreEntryMarch.X8664,
            Tc = new TaskCoreEntry
            {
                TaskState = DeadState, ExitCode = (uint)stat.ExitCode, Personality = 0, Flags = stat.Flags, BlkSigset = 0,
                Comm = ByteString.CopyFrom(stat.Comm.Bytes),
            },
        });
        WriteTree(stat, stat.ParentPid, [(uint)stat.Pid]);
    }

    /// <summary>Writes what is known only when all processes have been looked at, and the many images of one entry.</summary>
    public void Finish()
    {
        _filters.Write(set);
        files.Sockets.Finish(files);
        Workers.Each(_singles, image => set.WriteSingle(image.Type, image.Id, image.Entry));
    }

    /// <summary>What the inventory says of the machine.</summary>
    public static InventoryEntry Inventory() => new()
    {
        ImgVersion = ImageMagic.Version, FdinfoPerId = true, NsPerId = true, RootIds = SharedObjects.OfDumper(), RootCgSet = HostCgroups,
        Lsmtype = Lsmtype.NoLsm, PluginsEntry = new PluginsEntry(),
    };

    private void WriteSingle(ImageType type, int id, IRequiredFields entry) => _singles.Add((type, (ulong)id, entry));

    private void WriteMappedFiles(ProcessDump process, Inspection inspection)
    {
        foreach (Mapping mapping in process.Mappings)
        {
            var key = (mapping.Vma.DeviceMajor, mapping.Vma.DeviceMinor, mapping.Vma.Inode);
            if (!mapping.HasFile || !inspection.MappedFiles.TryGetValue(key, out OpenFile? file))
            {
                continue;
            }

            mapping.FileId = files.SaveNamed(file with { Flags = (int)mapping.ToEntry().Fdflags });
        }
    }

    private void WriteDirectories(ProcessDump process, Inspection inspection) => WriteSingle(ImageType.Fs, process.Pid, new FsEntry
    {
        CwdId = files.SaveNamed(inspection.WorkingDirectory!),
        RootId = files.SaveNamed(inspection.Root!),
        Umask = inspection.Status.Umask ?? 0,
    });

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

        process.Mm.Aios.AddRange(process.Mappings.Where(m => m.IsAioRing).Select(m => AioRing.Save(process.Pid, m.Vma)));
        process.Mm.Vmas.AddRange(GuardRegions.Find(process.Proc, process.Mappings));
        WriteSingle(ImageType.Mm, process.Pid, process.Mm);
    }

    private void WriteExtra(ProcessDump process, bool isRoot)
    {
        if (isRoot)
        {
            process.Extra.BootId = $"{ProcRoot.ReadBootId()}";
        }

        foreach (Mapping mapping in process.Mappings)
        {
            mapping.AddExtra(process);
        }

        process.Extra.Mappings.AddRange(process.MappingExtras);
        foreach (TaskDump task in process.Tasks)
        {
            task.Extra.Tid = (uint)task.VirtualTid;
            process.Extra.Threads.Add(task.Extra);
        }

        WriteSingle(ImageType.CriupsProcess, process.Pid, process.Extra);
    }

    private static bool IsVvar(VmaEntry entry) => ((VmaStatus)entry.Status & VmaStatus.Vvar) != 0;

    private void WriteTree(ProcStat stat, int parent, IEnumerable<uint> tasks)
    {
        PstreeEntry entry = new() { Pid = (uint)stat.Pid, Ppid = (uint)parent, Pgid = (uint)stat.ProcessGroup, Sid = (uint)stat.Session };
        entry.Threads.AddRange(tasks);
        _tree.Write(entry);
    }
}
