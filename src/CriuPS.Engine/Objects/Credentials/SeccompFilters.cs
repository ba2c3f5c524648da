using System.Runtime.InteropServices;
using CriuPS.Engine.Compel;
using CriuPS.Engine.Images;
using CriuPS.Engine.Images.Schema;
using CriuPS.Engine.Kernel;
using Google.Protobuf;

namespace CriuPS.Engine.Objects.Credentials;

/// <summary>
/// Which system calls a thread may make (seccomp(2), struct seccomp). The kernel keeps a mode and a chain of filters; status tells the mode, ptrace gives the filters,
/// the oldest first (PTRACE_SECCOMP_GET_FILTER since Linux 4.4, their flags since 4.16), to those who have CAP_SYS_ADMIN. While we hold a task its
/// filters are suspended (PTRACE_O_SUSPEND_SECCOMP), before and after a restore. Threads with equal filters get them together (TSYNC): then they share one chain.
/// </summary>
internal sealed class SeccompFilters : ITaskState
{
    private const int Strict = 1, Filters = 2;
    private const int SECCOMP_SET_MODE_STRICT = 0, SECCOMP_SET_MODE_FILTER = 1;
    private const ulong SECCOMP_FILTER_FLAG_TSYNC = 1, SECCOMP_FILTER_FLAG_LOG = 2;

    /// <summary>struct sock_filter has 8 bytes, and a filter at most 4096 of them (include/uapi/linux/filter.h, BPF_MAXINSNS).</summary>
    private const int InstructionSize = 8, MostInstructions = 4096;

    /// <summary>struct sock_fprog.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct sock_fprog
    {
        public ushort len;
        public ulong filter;
    }

    /// <summary>Lets a stopped task make any system call for us.</summary>
    public static void Suspend(int tid, int options) => Ptrace.SetOptions(tid, options | Ptrace.PTRACE_O_SUSPEND_SECCOMP);

    public Action? Ask(TaskDump dump, SyscallProgram program)
    {
        ThreadCoreEntry core = dump.Core.ThreadCore;
        switch (dump.Credentials.Seccomp)
        {
            case Strict:
                core.SeccompMode = SeccompMode.Strict;
                break;
            case Filters:
                core.SeccompMode = SeccompMode.Filter;
                dump.Filters.AddRange(Read(dump.Task.Tid));
                break;
        }

        return null;
    }

    public void Restore(TaskRestore restore)
    {
        if (restore.Core.ThreadCore.SeccompMode == SeccompMode.Strict)
        {
            restore.Batch.Add("seccomp(SECCOMP_SET_MODE_STRICT)", SyscallNumber.seccomp, SECCOMP_SET_MODE_STRICT, 0, 0);
        }

        foreach (SeccompFilter filter in restore.Filters)
        {
            SyscallProgram program = restore.Batch.Room(1, filter.Filter.Length + 32);
            ulong code = program.Put(filter.Filter.Span);
            ulong header = program.Put(new sock_fprog { len = (ushort)(filter.Filter.Length / InstructionSize), filter = code });
            ulong flags = (filter.Flags & SECCOMP_FILTER_FLAG_LOG) | (restore.SharesFilters ? SECCOMP_FILTER_FLAG_TSYNC : 0);
            program.Add("seccomp(SECCOMP_SET_MODE_FILTER)", SyscallNumber.seccomp, SECCOMP_SET_MODE_FILTER, flags, header);
        }
    }

    private static IEnumerable<SeccompFilter> Read(int tid)
    {
        byte[] code = new byte[MostInstructions * InstructionSize];
        for (ulong index = 0; Ptrace.TryGetSeccompFilter(tid, index, code, out int instructions); index++)
        {
            Syscall.Check(Ptrace.SeccompMetadata(tid, index, out ulong flags), () => $"ptrace(PTRACE_SECCOMP_GET_METADATA, {tid})");
            yield return new SeccompFilter { Filter = ByteString.CopyFrom(code, 0, instructions * InstructionSize), Flags = (uint)flags };
        }
    }
}

/// <summary>The image of all filters: a chain for each task that differs, in the order in which they are installed.</summary>
internal sealed class SeccompImage
{
    private readonly SeccompEntry _entry = new();
    private readonly Dictionary<string, uint> _chains = [];

    /// <summary>The place of a chain in the image.</summary>
    public uint IndexOf(IReadOnlyList<SeccompFilter> chain)
    {
        string key = string.Join('.', chain.Select(f => $"{f.Flags}:{f.Filter.ToBase64()}"));
        if (_chains.TryGetValue(key, out uint index))
        {
            return index;
        }

        index = _chains[key] = (uint)_entry.SeccompFilters.Count;
        for (int i = 0; i < chain.Count; i++)
        {
            SeccompFilter filter = new() { Filter = chain[i].Filter, Flags = chain[i].Flags };
            if (i + 1 < chain.Count)
            {
                filter.Prev = index + (uint)i + 1;
            }

            _entry.SeccompFilters.Add(filter);
        }

        return index;
    }

    /// <summary>Writes the image, if there is any filter.</summary>
    public void Write(ImageSet set)
    {
        if (_entry.SeccompFilters.Count > 0)
        {
            set.WriteSingle(ImageType.Seccomp, null, _entry);
        }
    }

    /// <summary>The chain of a task, in the order in which it is installed.</summary>
    /// <exception cref="ImageException">The image lacks it, or it runs in a ring.</exception>
    public static List<SeccompFilter> ChainOf(ImageSet set, SeccompEntry? image, CoreEntry core)
    {
        List<SeccompFilter> chain = [];
        if (core.ThreadCore.SeccompMode != SeccompMode.Filter)
        {
            return chain;
        }

        for (uint? next = core.ThreadCore.SeccompFilter; next is { } index;)
        {
            if (image is null || index >= image.SeccompFilters.Count || chain.Count > image.SeccompFilters.Count)
            {
                throw new ImageException(ImageException.MalformedEntry, set.FullName(ImageType.Seccomp.FileName()), 0, $"it lacks filter {index}");
            }

            SeccompFilter filter = image.SeccompFilters[(int)index];
            chain.Add(filter);
            next = filter.HasPrev ? filter.Prev : null;
        }

        return chain;
    }
}
