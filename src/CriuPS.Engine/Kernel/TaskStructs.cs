using CriuPS.Engine.Errors;
using Microsoft.Win32.SafeHandles;

namespace CriuPS.Engine.Kernel;

/// <summary>
/// What the kernel's own memory tells of tasks (struct task_struct, include/linux/sched.h), all of them in one go: session keyrings, which tasks have no other
/// way to tell (one that asks for its own by keyctl(2) gets one if it had none; security/keys/process_keys.c, lookup_user_key), and what threads of a
/// process have in common, which need not be read of each of them. The question is put together before anybody is stopped for it.
/// </summary>
internal sealed class TaskStructs : IDisposable
{
    private const int AllProcesses = 0, Words = 11;

    private readonly SafeFileHandle _program;
    private readonly BpfRow _row = BpfRow.OfTasks(Words);
    private readonly int _tid, _process, _keyring, _serial, _subjective, _objective, _attributes, _mode, _filter, _files, _directories;

    private TaskStructs()
    {
        KernelTypes types = KernelTypes.Running;
        _tid = _row.FromObject(types.OffsetOf("task_struct", "pid"));
        _process = _row.FromObject(types.OffsetOf("task_struct", "tgid"));
        _subjective = _row.FromObject(types.OffsetOf("task_struct", "cred"));
        _objective = _row.FromObject(types.OffsetOf("task_struct", "real_cred"));
        _attributes = _row.FromObject(types.OffsetOf("task_struct", "atomic_flags"));
        _mode = _row.FromObject(types.OffsetOf("task_struct", "seccomp", "mode"));
        _filter = _row.FromObject(types.OffsetOf("task_struct", "seccomp", "filter"));
        _files = _row.FromObject(types.OffsetOf("task_struct", "files"));
        _directories = _row.FromObject(types.OffsetOf("task_struct", "fs"));
        _keyring = _row.FromAddress(_objective, types.OffsetOf("cred", "session_keyring"));
        _serial = _row.FromAddress(_keyring, types.OffsetOf("key", "serial"));
        _program = _row.Load("bpf_iter_task");
    }

    /// <summary>What a task has in common with others that have the same: each is an address in the kernel, or a word of the task.</summary>
    /// <param name="SessionKeyring">The number of its session keyring; 0 if it has none of its own.</param>
    /// <param name="Credentials">Ids, groups, capabilities, no_new_privs and seccomp.</param>
    /// <param name="Files">Its table of descriptors.</param>
    /// <param name="Directories">Its root, working directory and umask.</param>
    public readonly record struct Facts(uint SessionKeyring, (ulong, ulong, ulong, uint, ulong) Credentials, ulong Files, ulong Directories);

    /// <summary>Puts the question together; null where the kernel does not tell.</summary>
    public static TaskStructs? TryPrepare()
    {
        try
        {
            return RestartBlocks.IsFirstPidNamespace ? new TaskStructs() : null;
        }
        catch (CriuException e) when (BpfRow.IsUntold(e))
        {
            return null;
        }
    }

    /// <summary>The facts of all tasks of some processes; null where the kernel does not tell.</summary>
    /// <param name="pids">The processes, which stand still.</param>
    public IReadOnlyDictionary<int, Facts>? TryAsk(IReadOnlyList<int> pids)
    {
        HashSet<int> wanted = [.. pids];
        Dictionary<int, Facts> facts = [];
        try
        {
            _row.Run(_program, pids.Count == 1 ? pids[0] : AllProcesses, words =>
            {
                if (wanted.Contains((int)words[_process]))
                {
                    facts.TryAdd((int)words[_tid], FactsOf(words));
                }
            });
            return facts;
        }
        catch (CriuException e) when (BpfRow.IsUntold(e))
        {
            return null;
        }
    }

    public void Dispose() => _program.Dispose();

    private Facts FactsOf(ReadOnlySpan<ulong> words) => new(
        words[_keyring] == 0 ? 0 : (uint)words[_serial],
        (words[_subjective], words[_objective], words[_attributes], (uint)words[_mode], words[_filter]),
        words[_files], words[_directories]);
}
